// SPDX-License-Identifier: Apache-2.0

public import Units
import Wire

/// An entry as one line of JSON: members in a fixed order, the last one a checksum of all bytes
/// before it.
///
/// A line that was torn by the end of its process, or altered since, does not match its checksum,
/// so it is never read as a smaller entry. Members that a later version adds in front of the
/// checksum are skipped.
public enum LedgerLine {
    /// The most bytes of one line, its end included: 128 bytes of the client's name escaped, four
    /// names of at most 256 and numbers.
    public static let mostBytes = 8_192

    /// `,"crc":"89abcdef"}`.
    private static let tailBytes = 18

    /// Appends the entry and a line feed.
    public static func append(_ entry: LedgerEntry, to text: inout ByteBuffer) {
        let start = text.count
        text.append("{\"time\":\"")
        LedgerTime.append(entry.time, to: &text)
        text.append("\",\"gateway\":\"")
        hexadecimal(entry.gateway, digits: 16, to: &text)
        text.append("\",\"number\":")
        text.append(decimal: Int(clamping: entry.number))
        text.append(",\"request_id\":")
        quoted(entry.requestID, to: &text)
        text.append(",\"tenant\":")
        quoted(entry.tenant, to: &text)
        text.append(",\"key\":")
        quoted(entry.key, to: &text)
        text.append(",\"class\":")
        quoted(entry.trafficClass, to: &text)
        text.append(",\"model\":")
        quoted(entry.model, to: &text)
        text.append(",\"outcome\":")
        quoted(entry.outcome, to: &text)
        text.append(",\"source\":")
        quoted(entry.source, to: &text)
        count(",\"input\":", entry.input, to: &text)
        count(",\"cached_input\":", entry.cachedInput, to: &text)
        count(",\"output\":", entry.output, to: &text)
        count(",\"reasoning\":", entry.reasoning, to: &text)
        text.append(",\"cost\":")
        if let cost = entry.cost { cost.append(to: &text) } else { text.append("null") }
        text.append(",\"currency\":")
        quoted(entry.currency, to: &text)
        let sum = unsafe Checksum.of(
            UnsafeRawBufferPointer(rebasing: text.readable[start...]).bytes)
        text.append(",\"crc\":\"")
        hexadecimal(UInt64(sum), digits: 8, to: &text)
        text.append("\"}\n")
    }

    /// Reads a line, without its line feed; nil for one that is torn, altered, or no entry.
    public static func read(_ line: RawSpan) -> LedgerEntry? {
        guard line.byteCount > tailBytes, line.byteCount <= mostBytes else { return nil }
        let body = line.byteCount - tailBytes
        let shown = line.text(body + 8..<line.byteCount - 2)
        guard line.text(body..<body + 8) == ",\"crc\":\"",
            line.text(line.byteCount - 2..<line.byteCount) == "\"}",
            shown.utf8.allSatisfy({ (0x30...0x39).contains($0) || (0x61...0x66).contains($0) }),
            UInt32(shown, radix: 16) == Checksum.of(line.extracting(0..<body))
        else { return nil }
        return members(line)
    }

    private static func members(_ line: RawSpan) -> LedgerEntry? {
        var scanner = JSONScanner(maxDepth: 8)
        var found = Members()
        do throws(JSONFault) {
            guard try scanner.next(in: line) == .beginObject else { return nil }
            while case .key(let name) = try scanner.next(in: line) {
                guard let member = Member(rawValue: name.string(in: line)) else {
                    try scanner.skipValue(in: line)
                    continue
                }
                guard found.take(member, try scanner.next(in: line), line) else { return nil }
            }
            guard try scanner.next(in: line) == .end else { return nil }
        } catch {
            return nil
        }
        return found.entry
    }

    private static func count(_ name: StaticString, _ value: Int, to text: inout ByteBuffer) {
        text.append(name)
        text.append(decimal: min(max(0, value), LedgerEntry.mostTokens))
    }

    private static func quoted(_ value: String?, to text: inout ByteBuffer) {
        guard var value else { return text.append("null") }
        text.append(byte: UInt8(ascii: "\""))
        value.withUTF8 { bytes in
            unsafe JSONEscaping.append(UnsafeRawBufferPointer(bytes).bytes, to: &text)
        }
        text.append(byte: UInt8(ascii: "\""))
    }

    private static func hexadecimal(_ value: UInt64, digits: Int, to text: inout ByteBuffer) {
        for shift in stride(from: 4 * (digits - 1), through: 0, by: -4) {
            let digit = UInt8(truncatingIfNeeded: value >> UInt64(shift)) & 15
            text.append(byte: digit < 10 ? 0x30 + digit : 0x57 + digit)
        }
    }
}

/// The members that an entry is made from.
private enum Member: String {
    case time, gateway, number, tenant, key, model, outcome, source, input, output, reasoning
    case cost, currency
    case requestID = "request_id"
    case trafficClass = "class"
    case cachedInput = "cached_input"
}

/// What was read of a line so far.
private struct Members {
    private var texts: [Member: String] = [:]
    private var counts: [Member: Int] = [:]
    private var cost: Money?

    /// False for a value of the wrong kind.
    mutating func take(_ member: Member, _ token: JSONToken, _ line: RawSpan) -> Bool {
        switch (member, token) {
        case (.key, .null), (.cost, .null), (.currency, .null): return true
        case (.cost, .number(let range)):
            cost = Money(line.text(range).utf8)
            return cost != nil
        case (.number, .number(let range)), (.input, .number(let range)),
            (.cachedInput, .number(let range)), (.output, .number(let range)),
            (.reasoning, .number(let range)):
            guard case .whole(let value) = JSONNumber(range, in: line), value >= 0 else {
                return false
            }
            counts[member] = value
            return member == .number || value <= LedgerEntry.mostTokens
        case (.number, _), (.input, _), (.cachedInput, _), (.output, _), (.reasoning, _),
            (.cost, _):
            return false
        case (_, .string(let text)):
            texts[member] = text.string(in: line)
            return true
        default: return false
        }
    }

    /// Nil unless all that an entry needs is there.
    var entry: LedgerEntry? {
        guard let time = texts[.time].flatMap({ LedgerTime.parse($0) }),
            let gateway = texts[.gateway].flatMap({ UInt64($0, radix: 16) }),
            let number = counts[.number], let requestID = texts[.requestID],
            let tenant = texts[.tenant], let trafficClass = texts[.trafficClass],
            let model = texts[.model], let outcome = texts[.outcome],
            let source = texts[.source], let input = counts[.input],
            let output = counts[.output]
        else { return nil }
        var entry = LedgerEntry(
            time: time, gateway: gateway, number: UInt64(number), requestID: requestID,
            tenant: tenant, trafficClass: trafficClass, model: model, outcome: outcome,
            source: source)
        entry.key = texts[.key]
        entry.input = input
        entry.cachedInput = counts[.cachedInput] ?? 0
        entry.output = output
        entry.reasoning = counts[.reasoning] ?? 0
        entry.cost = cost
        entry.currency = texts[.currency]
        return entry
    }
}
