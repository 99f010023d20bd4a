// SPDX-License-Identifier: Apache-2.0

import Configuration
import FuzzSupport
import Units

private func parse(_ text: String) throws(ConfigurationFault) -> LoadedConfiguration {
    try ConfigurationFile.parse(
        text: text, name: "x", folder: "/nonexistent", environment: { _ in nil }, previous: nil)
}

/// A file is refused with a reason, or taken; the effective configuration is then taken again.
@c(LLVMFuzzerTestOneInput)
public func oneInput(_ data: UnsafePointer<UInt8>?, _ size: Int) -> CInt {
    let input = unsafe FuzzInput(UnsafeRawBufferPointer(start: data, count: size))
    do throws(ConfigurationFault) {
        let loaded = try parse(String(decoding: input.bytes, as: UTF8.self))
        check(!loaded.effective.isEmpty, "a configuration can be shown")
    } catch {
        check(!error.mistakes.isEmpty, "a refusal has a reason")
        check(error.mistakes.allSatisfy { $0.line > 0 && $0.column > 0 }, "and a place")
    }
    return 0
}

@main
struct FuzzConfig {
    static func main() { unsafe runFuzzer(oneInput) }
}
