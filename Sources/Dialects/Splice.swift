// SPDX-License-Identifier: Apache-2.0

import Units
import Wire

/// Copies a body with some ranges replaced, in ascending order.
struct Splice {
    /// Copied up to here.
    private var cursor = 0
    private var isEdited = false
    /// Members from the first on that were removed without a gap.
    private var removedInFront = 0

    /// New members stand in front, where the comma behind them is always right: a body keeps its
    /// model.
    mutating func insertMembers(
        _ body: RawSpan, _ inspection: borrowing Inspection, _ edits: BodyEdits,
        _ buffer: inout ByteBuffer
    ) {
        if let (member, bound) = Splice.addedBound(inspection, edits) {
            copy(upTo: inspection.start, body, &buffer)
            buffer.append("\"")
            buffer.append(member.name)
            buffer.append("\":")
            buffer.append(decimal: bound.count)
            buffer.append(",")
        }
        if let object = inspection.dialect.boundObject, !inspection.hasBoundObject,
            let bound = edits.atLeastOne
        {
            copy(upTo: inspection.start, body, &buffer)
            buffer.append("\"")
            buffer.append(object.name)
            buffer.append("\":{\"max_new_tokens\":")
            buffer.append(decimal: bound.count)
            buffer.append("},")
        }
        if let priority = edits.priority {
            copy(upTo: inspection.start, body, &buffer)
            buffer.append("\"priority\":")
            priority.append(to: &buffer)
            buffer.append(",")
        }
        let hasOptions = inspection.places.contains { $0.member == .streamOptions }
        if edits.askUsage, !hasOptions {
            copy(upTo: inspection.start, body, &buffer)
            buffer.append("\"stream_options\":{\"include_usage\":true},")
        }
    }

    /// The name that every engine reads on this path. On chats `max_completion_tokens` is as good;
    /// on completions vLLM ignores it, and `n_predict` is llama.cpp's alone.
    private static func addedBound(
        _ inspection: borrowing Inspection, _ edits: BodyEdits
    ) -> (Member, Tokens)? {
        guard let common = inspection.dialect.bound else { return nil }
        let isChat = inspection.dialect == .chatCompletions
        let isCommon = inspection.places.contains {
            !$0.isNested
                && ($0.member == common || $0.member == .maxCompletionTokens && isChat)
        }
        if isCommon { return nil }
        return (edits.atLeastOne ?? inspection.bound).map { (common, $0) }
    }

    /// With one of the commas beside it, so that what stays is an object.
    mutating func remove(_ place: MemberPlace, _ body: RawSpan, _ buffer: inout ByteBuffer) {
        if place.index == removedInFront {
            removedInFront += 1
            replace(place.key..<place.next, body, &buffer)
        } else {
            replace(place.previousEnd..<place.value.upperBound, body, &buffer)
        }
    }

    /// The bound into the object of an engine's own path that lacks it.
    mutating func completeObject(
        _ place: MemberPlace, _ body: RawSpan, _ inspection: borrowing Inspection,
        _ edits: BodyEdits, _ buffer: inout ByteBuffer
    ) {
        guard place.member == inspection.dialect.boundObject, inspection.maxNew == nil,
            let bound = edits.atLeastOne
        else { return }
        if place.value.isEmpty {
            copy(upTo: place.value.lowerBound, body, &buffer)
            buffer.append("\"max_new_tokens\":")
            buffer.append(decimal: bound.count)
            if place.index > 0 { buffer.append(",") }
        } else {
            replace(place.value, body, &buffer)
            buffer.append("{\"max_new_tokens\":")
            buffer.append(decimal: bound.count)
            buffer.append("}")
        }
    }

    mutating func change(
        _ place: MemberPlace, _ body: RawSpan, _ inspection: borrowing Inspection,
        _ edits: BodyEdits,
        _ buffer: inout ByteBuffer
    ) {
        switch place.member {
        case .model: rename(inspection.model, body, edits, &buffer)
        case .maxTokens, .maxCompletionTokens, .predicted:
            guard let bound = edits.atLeastOne else { return }
            set(place.value, bound, body, &buffer)
        case .minTokens:
            guard let bound = edits.atLeastOne, inspection.minTokens > bound else { return }
            set(place.value, bound, body, &buffer)
        case .maxOutputTokens where inspection.dialect == .responses:
            guard let bound = edits.atLeastOne else { return }
            set(place.value, bound, body, &buffer)
        case .maxOutputTokens, .maxNewTokens, .numPredict, .minNewTokens:
            lower(place, edits, body, &buffer)
        case .streamOptions:
            if edits.askUsage, !inspection.includeUsage {
                askUsage(place, body, inspection, &buffer)
            }
        default: return
        }
    }

    /// Copies the rest.
    mutating func finish(_ body: RawSpan, _ buffer: inout ByteBuffer) -> EditOutcome {
        guard isEdited else { return .unchanged }
        copy(upTo: body.byteCount, body, &buffer)
        return .edited
    }
}

// MARK: Single edits

extension Splice {
    private mutating func rename(
        _ name: JSONString, _ body: RawSpan, _ edits: BodyEdits, _ buffer: inout ByteBuffer
    ) {
        guard var wanted = edits.model else { return }
        wanted.withUTF8 { bytes in
            let wanted = unsafe RawSpan(_unsafeBytes: UnsafeRawBufferPointer(bytes))
            if name.equals(wanted, in: body) { return }
            replace(name.range, body, &buffer)
            JSONEscaping.append(wanted, to: &buffer)
        }
    }

    private mutating func set(
        _ value: Range<Int>, _ bound: Tokens, _ body: RawSpan, _ buffer: inout ByteBuffer
    ) {
        // The value is a number or null; null reads as 0, which no bound is.
        if JSONNumber(value, in: body) == .whole(bound.count) { return }
        replace(value, body, &buffer)
        buffer.append(decimal: bound.count)
    }

    /// Of numbers, and of texts that are numbers to lenient readers, those that say more: also what
    /// is below zero, by which some mean no bound.
    mutating func lower(
        _ place: MemberPlace, _ edits: BodyEdits, _ body: RawSpan, _ buffer: inout ByteBuffer
    ) {
        guard let bound = edits.atLeastOne else { return }
        var digits = place.value
        if body.octet(digits.lowerBound) == UInt8(ascii: "\"") {
            digits = digits.lowerBound + 1..<digits.upperBound - 1
        }
        guard let value = Splice.number(digits, body) else { return }
        if value <= Double(bound.count), value >= 0 || place.member.isLeast { return }
        replace(place.value, body, &buffer)
        buffer.append(decimal: bound.count)
    }

    /// Nil where it is none.
    private static func number(_ digits: Range<Int>, _ body: RawSpan) -> Double? {
        let text = body.extracting(digits)
        var scanner = JSONScanner()
        guard case .number(let found)? = try? scanner.next(in: text),
            case .end? = try? scanner.next(in: text)
        else { return nil }
        return JSONNumber.double(found, in: text)
    }

    /// Merged into what is there: other members of the options keep their meaning.
    private mutating func askUsage(
        _ place: MemberPlace, _ body: RawSpan, _ inspection: borrowing Inspection,
        _ buffer: inout ByteBuffer
    ) {
        if let value = inspection.includeUsageValue {
            replace(value, body, &buffer)
            buffer.append("true")
        } else if let start = inspection.optionsStart {
            copy(upTo: start, body, &buffer)
            buffer.append("\"include_usage\":true")
            if !inspection.optionsAreEmpty { buffer.append(",") }
        } else {
            replace(place.value, body, &buffer)
            buffer.append("{\"include_usage\":true}")
        }
    }

    private mutating func replace(
        _ range: Range<Int>, _ body: RawSpan, _ buffer: inout ByteBuffer
    ) {
        copy(upTo: range.lowerBound, body, &buffer)
        cursor = range.upperBound
    }

    private mutating func copy(upTo end: Int, _ body: RawSpan, _ buffer: inout ByteBuffer) {
        isEdited = true
        if end > cursor { buffer.append(body.extracting(cursor..<end)) }
        cursor = max(cursor, end)
    }
}
