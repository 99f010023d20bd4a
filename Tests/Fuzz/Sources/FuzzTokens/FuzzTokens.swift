// SPDX-License-Identifier: Apache-2.0

import Estimation
import FuzzSupport
import Policy
import Units

private let families = TokenizerFamily.allCases

/// Any bytes cost the same in one piece and in several, between a twelfth and all of them.
@c(LLVMFuzzerTestOneInput)
public func oneInput(_ data: UnsafePointer<UInt8>?, _ size: Int) -> CInt {
    let input = unsafe FuzzInput(UnsafeRawBufferPointer(start: data, count: size))
    let family = families[Int(input.choice) % families.count]
    var whole = TokenMeter(family: family)
    unsafe whole.feed(input.bytes.span.bytes)
    check(whole.units >= input.bytes.count * 1_024, "no less than a twelfth")
    check(whole.units <= input.bytes.count * 12_288, "no more than all")
    var pieces = TokenMeter(family: family)
    var start = 0
    while start < input.bytes.count {
        let end = min(input.bytes.count, start + 1 + Int(input.bytes[start]))
        unsafe pieces.feed(input.bytes.span.bytes.extracting(start..<end))
        start = end
    }
    check(pieces.units == whole.units, "a text costs the same however it is cut")
    return 0
}

@main
struct FuzzTokens {
    static func main() { unsafe runFuzzer(oneInput) }
}
