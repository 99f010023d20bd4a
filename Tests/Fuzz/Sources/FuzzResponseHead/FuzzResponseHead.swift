// SPDX-License-Identifier: Apache-2.0

import FuzzSupport
import Units
import Wire

private struct Reading: Equatable {
    var head = ResponseHead()
    var taken: Int?
    var fault: HeadFault?

    init(_ bytes: [UInt8], cuts: [Int], method: Wire.Method, limits: HeadLimits) {
        var parser = ResponseParser(limits: limits)
        for cut in cuts where taken == nil && fault == nil {
            let prefix = Array(bytes[..<cut])
            do {
                taken = try unsafe parser.parse(
                    prefix.span.bytes, requestMethod: method, into: &head)
            } catch {
                fault = error
            }
        }
    }
}

private func checkAccepted(_ reading: Reading, _ bytes: [UInt8]) {
    let head = reading.head
    let taken = reading.taken ?? 0
    check(bytes[..<taken].suffix(4) == [13, 10, 13, 10], "an empty line at the end")
    check(!bytes[..<taken].contains(0), "no NUL")
    check(100...599 ~= head.status, "a status")
    check(head.count(.contentLength) + head.count(.transferEncoding) <= 1, "one framing")
    check(head.framing != .untilClose || !head.keepAlive, "until close is not kept alive")
    for field in head.fields {
        check(bytes[Int(field.name.end)] == UInt8(ascii: ":"), "a colon behind the name")
        check(field.value.range.upperBound <= taken, "a value within the head")
    }
}

/// The same answer however the head is cut.
@c(LLVMFuzzerTestOneInput)
public func oneInput(_ data: UnsafePointer<UInt8>?, _ size: Int) -> CInt {
    let input = unsafe FuzzInput(UnsafeRawBufferPointer(start: data, count: size))
    let limits =
        input.choice & 1 == 0
        ? HeadLimits(maxTarget: 1, maxHead: 32768, maxFields: 128)
        : HeadLimits(maxTarget: 1, maxHead: Int(input.choice) + 40, maxFields: 4)
    let method = Wire.Method(rawValue: input.choice >> 1 & 7) ?? .post
    let whole = Reading(
        input.bytes, cuts: [input.bytes.count], method: method, limits: limits)
    let pieces = Reading(input.bytes, cuts: input.cuts, method: method, limits: limits)
    check(pieces == whole, "cuts change nothing")
    if whole.taken != nil { checkAccepted(whole, input.bytes) }
    return 0
}

@main
struct FuzzResponseHead {
    static func main() { unsafe runFuzzer(oneInput) }
}
