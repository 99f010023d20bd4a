// SPDX-License-Identifier: Apache-2.0

import FuzzSupport
import Units
import Wire

private struct Reading: Equatable {
    var head = RequestHead()
    var taken: Int?
    var fault: HeadFault?

    init(_ bytes: [UInt8], cuts: [Int], limits: HeadLimits) {
        var parser = RequestParser(limits: limits)
        for cut in cuts where taken == nil && fault == nil {
            let prefix = Array(bytes[..<cut])
            do {
                taken = try unsafe parser.parse(prefix.span.bytes, into: &head)
            } catch {
                fault = error
            }
        }
    }
}

/// What a naive reader must see in a head that was accepted.
private func checkAccepted(_ reading: Reading, _ bytes: [UInt8]) {
    let head = reading.head
    var lines: [[UInt8]] = [[]]
    for byte in bytes[..<(reading.taken ?? 0)] {
        check(byte == 9 || byte == 13 || byte == 10 || (32..<127).contains(byte), "plain bytes")
        lines[lines.count - 1].append(byte)
        if byte == 10 { lines.append([]) }
    }
    check(lines.allSatisfy { $0.isEmpty || $0.suffix(2) == [13, 10] }, "lines end in CR LF")
    check(lines.allSatisfy { !$0.dropLast(2).contains(13) }, "no CR within a line")
    let filled = lines.filter { $0.count > 2 }
    check(filled.count == head.fields.count + 1, "a field for each line behind the first")
    check(filled.allSatisfy { $0[0] != 32 && $0[0] != 9 }, "no folding")
    check(head.minorVersion == 0 || head.count(.host) == 1, "one host")
    check(head.count(.contentLength) + head.count(.transferEncoding) <= 1, "one framing")
    check(head.framing != .untilClose, "a request does not end with its connection")
    check(!head.target.isEmpty && head.target.range.upperBound <= bytes.count, "a target")
    for field in head.fields {
        check(!field.name.isEmpty, "a name")
        check(bytes[Int(field.name.end)] == UInt8(ascii: ":"), "a colon behind the name")
        check(field.value.range.upperBound <= reading.taken ?? 0, "a value within the head")
    }
}

/// The same answer however the head is cut, and nothing accepted that a naive reader would dispute.
@c(LLVMFuzzerTestOneInput)
public func oneInput(_ data: UnsafePointer<UInt8>?, _ size: Int) -> CInt {
    let input = unsafe FuzzInput(UnsafeRawBufferPointer(start: data, count: size))
    let limits =
        input.choice & 1 == 0
        ? HeadLimits(maxTarget: 8192, maxHead: 32768, maxFields: 128)
        : HeadLimits(maxTarget: 40, maxHead: Int(input.choice) + 40, maxFields: 4)
    let whole = Reading(input.bytes, cuts: [input.bytes.count], limits: limits)
    check(Reading(input.bytes, cuts: input.cuts, limits: limits) == whole, "cuts change nothing")
    if whole.taken != nil { checkAccepted(whole, input.bytes) }
    return 0
}

@main
struct FuzzRequestHead {
    static func main() { unsafe runFuzzer(oneInput) }
}
