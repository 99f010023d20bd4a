// SPDX-License-Identifier: Apache-2.0

import FuzzSupport
import Units
import Wire

/// A planted fault that must be found: where it is not, the instrumentation is broken and the
/// silence of the other entries means nothing. It takes a chunked body with a quoted extension,
/// content and a trailer, where the one in the corpus is empty: without guidance chance does not
/// reach it.
@c(LLVMFuzzerTestOneInput)
public func oneInput(_ data: UnsafePointer<UInt8>?, _ size: Int) -> CInt {
    let input = unsafe FuzzInput(UnsafeRawBufferPointer(start: data, count: size))
    var decoder = ChunkedDecoder(maxExtensions: 100, maxTrailers: 100, maxFields: 10)
    var at = 0
    var content = 0
    while true {
        let rest = Array(input.bytes[at...])
        guard let step = try? unsafe decoder.next(rest.span.bytes) else { return 0 }
        switch step {
        case .payload(let range, let consumed):
            content += range.count
            at += consumed
        case .more:
            return 0
        case .end:
            check(content == 0 || decoder.trailers.isEmpty, "canary: the planted fault")
            return 0
        }
    }
}

@main
struct FuzzCanary {
    static func main() { unsafe runFuzzer(oneInput) }
}
