// SPDX-License-Identifier: Apache-2.0

public import Units
import Wire

/// What to leave out of a prompt that is too long.
public enum Truncation: Sendable {
    /// Whole messages from the first on: never instructions, nor the last message of a user and
    /// what stands last, and results of calls go with the calls.
    case oldestMessages
    /// The middle of the longest texts that are no instructions: a part at the beginning and one at
    /// the end stay. An escape or a character is left out whole or not at all.
    case middle
}

/// Appends `body` without `excess` units of its prompt or more, as `cost` prices what a meter was
/// fed; false, and nothing appended, where that much cannot be left out.
///
/// The body has been inspected as `inspection`. Only whole messages, or parts of texts, go: every
/// other byte stays, and the result is valid JSON. Linear in the body; for `.middle` also in how
/// many texts have to be cut.
public func truncate<Meter: TextMeter>(
    _ body: RawSpan, _ inspection: Inspection, _ truncation: Truncation, excess: Int,
    meter: Meter, cost: (Meter, Inspection) -> Int, into buffer: inout ByteBuffer
) -> Bool {
    let content: Member =
        inspection.messages > 0 && inspection.dialect != .responses
        ? .messages : inspection.dialect.content
    guard excess > 0, var outline = try? PromptOutline(body, content) else { return false }
    var cuts: [Range<Int>]?
    switch truncation {
    case .oldestMessages:
        for place in outline.messages.indices {
            guard
                let price = price(
                    body.extracting(outline.messages[place].range), inspection.dialect, meter,
                    cost)
            else { return false }
            outline.messages[place].cost = price
        }
        cuts = outline.oldestMessages(excess: excess)
    case .middle:
        for place in outline.texts.indices {
            var fed = meter
            fed.boundary()
            outline.texts[place].text.feed(&fed, from: body)
            outline.texts[place].cost = cost(fed, Inspection())
        }
        cuts = outline.middles(excess: excess, body)
    }
    guard let cuts, !cuts.isEmpty else { return false }
    var kept = 0
    for cut in cuts {
        buffer.append(body.extracting(kept..<cut.lowerBound))
        kept = cut.upperBound
    }
    buffer.append(body.extracting(kept..<body.byteCount))
    return true
}

/// Of one message, as it is read within a body.
private func price<Meter: TextMeter>(
    _ message: RawSpan, _ dialect: Dialect, _ meter: Meter, _ cost: (Meter, Inspection) -> Int
) -> Int? {
    var reader = BodyReader(
        scanner: JSONScanner(), text: meter, tools: meter, found: Inspection())
    reader.found.dialect = dialect
    guard let first = try? reader.next(message), first.isObject,
        (try? reader.readMessage(message)) != nil
    else { return nil }
    reader.found.messages = 1
    return cost(reader.text, reader.found)
}

extension PromptOutline {
    /// Messages that stay or go together: one, and the results behind it.
    private struct Group {
        var messages: Range<Int>
        var cost: Int
        var isFixed: Bool
        var isUsers: Bool
    }

    private var groups: [Group] {
        var groups: [Group] = []
        for (place, message) in messages.enumerated() {
            let isFixed = message.role == .instruction
            if message.hasResults, !isFixed, let last = groups.indices.last, !groups[last].isFixed {
                groups[last].messages = groups[last].messages.lowerBound..<place + 1
                groups[last].cost += message.cost
            } else {
                groups.append(
                    Group(
                        messages: place..<place + 1, cost: message.cost, isFixed: isFixed,
                        isUsers: message.role == .user))
            }
        }
        return groups
    }

    /// The ranges of the body that go; nil where no choice of messages is enough.
    func oldestMessages(excess: Int) -> [Range<Int>]? {
        var groups = groups
        if let last = groups.lastIndex(where: { !$0.isFixed }) { groups[last].isFixed = true }
        if let asked = groups.lastIndex(where: \.isUsers) { groups[asked].isFixed = true }
        var isGone = [Bool](repeating: false, count: messages.count)
        var freed = 0
        for (place, group) in groups.enumerated() where !group.isFixed {
            // A chat begins with a user's message, if there is one to come.
            let opens = group.isUsers || !groups[place...].contains(where: \.isUsers)
            if freed >= excess, opens { break }
            for message in group.messages { isGone[message] = true }
            freed += group.cost
        }
        return freed >= excess ? ranges(isGone) : nil
    }

    /// With one comma beside each.
    private func ranges(_ isGone: [Bool]) -> [Range<Int>] {
        var ranges: [Range<Int>] = []
        var hasKept = false
        for (place, message) in messages.enumerated() {
            guard isGone[place] else {
                hasKept = true
                continue
            }
            if hasKept {
                ranges.append(messages[place - 1].range.upperBound..<message.range.upperBound)
            } else {
                ranges.append(message.range.lowerBound..<messages[place + 1].range.lowerBound)
            }
        }
        return ranges
    }

    /// The ranges of the body that go, the longest texts' first; nil where that is not enough. A
    /// text keeps what 64 bytes cost, or nearly.
    func middles(excess: Int, _ body: RawSpan) -> [Range<Int>]? {
        var left = excess
        var cuts: [Range<Int>] = []
        for text in texts.sorted(by: { $0.cost > $1.cost }) {
            guard left > 0 else { break }
            let bytes = text.text.range.count
            guard text.cost > 0, bytes > 64 else { break }
            // A little more, since a text is not even.
            let share = min(Double(left) / Double(text.cost) * 1.03, 1)
            let length = min(Int(Double(bytes) * share) + 16, bytes - 64)
            let middle = text.text.range.lowerBound + bytes / 2
            let cut = text.text.wholeCharacters(
                around: middle - length / 2..<middle - length / 2 + length, in: body)
            guard !cut.isEmpty else { continue }
            cuts.append(cut)
            left -= Int(Double(text.cost) * Double(cut.count) / Double(bytes))
        }
        return left <= 0 ? cuts.sorted { $0.lowerBound < $1.lowerBound } : nil
    }
}
