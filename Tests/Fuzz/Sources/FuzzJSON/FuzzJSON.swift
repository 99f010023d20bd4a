// SPDX-License-Identifier: Apache-2.0

import Dialects
import FuzzSupport
import Units
import Wire

/// Counts what it is fed.
private struct CountingMeter: TextMeter {
    var bytes = 0
    mutating func feed(_ text: RawSpan) { bytes += text.byteCount }
    mutating func boundary() {}
}

private let dialects: [Dialect] = [.chatCompletions, .completions, .embeddings]

private func inspected(_ body: [UInt8], _ dialect: Dialect) -> Inspection? {
    var inspection = Inspection()
    var meter = CountingMeter()
    var tools = CountingMeter()
    do throws(BodyFault) {
        unsafe try inspect(
            body.span.bytes, dialect, meter: &meter, tools: &tools, into: &inspection)
    } catch {
        return nil
    }
    check(meter.bytes <= body.count, "texts are no longer than the body")
    return inspection
}

/// What is left of a prompt that is too long is valid, shorter, and the rest of the body.
private func checkTruncation(_ body: [UInt8], _ inspection: Inspection, excess: Int) {
    for truncation in [Truncation.oldestMessages, .middle] {
        var buffer = ByteBuffer()
        let isCut = unsafe truncate(
            body.span.bytes, inspection, truncation, excess: excess, meter: CountingMeter(),
            cost: { meter, _ in meter.bytes }, into: &buffer)
        check(isCut != buffer.isEmpty, "a body that is not cut is not copied")
        guard isCut else { continue }
        let shorter = unsafe Array(buffer.readable)
        check(shorter.count < body.count, "a cut body is shorter")
        guard let again = inspected(shorter, inspection.dialect) else {
            return check(false, "a cut body is valid")
        }
        check(again.messages <= inspection.messages, "messages are not made")
        check(again.bound == inspection.bound, "the bound stays")
        var at = 0
        for byte in body where at < shorter.count && shorter[at] == byte { at += 1 }
        check(at == shorter.count, "no byte of a cut body is new")
    }
}

/// A body that was taken is still valid when it was edited, and says what the edits wanted.
@c(LLVMFuzzerTestOneInput)
public func oneInput(_ data: UnsafePointer<UInt8>?, _ size: Int) -> CInt {
    let input = unsafe FuzzInput(UnsafeRawBufferPointer(start: data, count: size))
    let dialect = dialects[Int(input.choice) % dialects.count]
    guard let inspection = inspected(input.bytes, dialect) else { return 0 }
    let named = unsafe modelName(in: input.bytes.span.bytes)
    check(named == inspection.model, "the model that is found beforehand is the one")
    checkTruncation(input.bytes, inspection, excess: 1 + Int(input.choice) / 4)
    var edits = BodyEdits()
    if input.choice & 4 != 0 { edits.model = "other" }
    if input.choice & 8 != 0 { edits.bound = Tokens(7) }
    edits.askUsage = input.choice & 16 != 0 && inspection.stream && dialect != .embeddings
    var buffer = ByteBuffer()
    guard
        unsafe apply(
            body: input.bytes.span.bytes, inspection: inspection, edits: edits, into: &buffer)
            == .edited
    else { return 0 }
    let edited = unsafe Array(buffer.readable)
    guard let again = inspected(edited, dialect) else {
        check(false, "an edited body is valid")
        return 0
    }
    check(again.stream == inspection.stream, "what is not edited stays")
    check(again.messages == inspection.messages, "messages stay")
    check(!edits.askUsage || again.includeUsage, "usage is asked for")
    if edits.model != nil {
        check(edited[again.model.range].elementsEqual("other".utf8), "the model is the other")
    }
    return 0
}

@main
struct FuzzJSON {
    static func main() { unsafe runFuzzer(oneInput) }
}
