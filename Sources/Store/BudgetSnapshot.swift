// SPDX-License-Identifier: Apache-2.0

import Budget
import Policy

/// Why saved budgets could not be read.
public enum SnapshotFault: Error, Sendable, Equatable {
    case tooLarge(limitBytes: Int)
    /// Not made by us, or by a later version.
    case unknownVersion
    /// The end is missing, or a byte has changed.
    case damaged
    /// The checksum holds, but the line says nothing sensible.
    case malformed(line: Int)
}

/// A tenant's account under the name that survives restarts.
struct SavedAccount: Sendable {
    let name: String
    let account: Account
}

/// The text in which budgets survive a restart:
///
///     penstock-budgets 1
///     tenant <name> <clock, µs since 1970> <day> <month>
///     used <limit kind> <amount>
///     checksum <16 hexadecimal digits, FNV-1a of all before>
///
/// A name's bytes outside of the visible ASCII characters, and `%`, are written as `%` and two
/// digits.
enum BudgetSnapshot {
    static let limitBytes = 64 << 20
    private static let head = "penstock-budgets 1\n"
    private static let checksumWord = "checksum "

    static func encode(_ accounts: [SavedAccount]) -> [UInt8] {
        var text = head
        for saved in accounts {
            let account = saved.account
            text += "tenant \(escaped(saved.name)) \(account.clock) \(account.day)"
            text += " \(account.month)\n"
            for kind in LimitKind.allCases where account.used[kind.index] > 0 {
                text += "used \(kind.rawValue) \(account.used[kind.index])\n"
            }
        }
        var bytes = Array(text.utf8)
        let sum = checksum(bytes[...])
        bytes.append(contentsOf: "\(checksumWord)\(hexadecimal(sum))\n".utf8)
        return bytes
    }

    static func decode(_ bytes: [UInt8]) throws(SnapshotFault) -> [SavedAccount] {
        guard bytes.count <= limitBytes else { throw .tooLarge(limitBytes: limitBytes) }
        guard bytes.starts(with: head.utf8) else { throw .unknownVersion }
        let tailCount = checksumWord.utf8.count + 17
        guard bytes.count >= head.utf8.count + tailCount else { throw .damaged }
        let body = bytes.dropLast(tailCount)
        let tail = "\(checksumWord)\(hexadecimal(checksum(body)))\n"
        guard bytes.suffix(tailCount).elementsEqual(tail.utf8) else { throw .damaged }
        return try parse(body.dropFirst(head.utf8.count))
    }

    private static func parse(_ body: ArraySlice<UInt8>) throws(SnapshotFault) -> [SavedAccount] {
        var accounts: [SavedAccount] = []
        var open: AccountLines?
        var number = 1
        for line in body.split(separator: 0x0A) {
            number += 1
            let words = line.split(separator: 0x20).map { String(decoding: $0, as: UTF8.self) }
            switch words.first {
            case "tenant":
                if let open { accounts.append(open.saved) }
                guard let next = AccountLines(words) else { throw .malformed(line: number) }
                open = next
            case "used":
                guard open?.take(words) == true else { throw .malformed(line: number) }
            default:
                throw .malformed(line: number)
            }
        }
        if let open { accounts.append(open.saved) }
        return accounts
    }

    private static func checksum(_ bytes: ArraySlice<UInt8>) -> UInt64 {
        var sum: UInt64 = 0xCBF2_9CE4_8422_2325
        for byte in bytes { sum = (sum ^ UInt64(byte)) &* 0x100_0000_01B3 }
        return sum
    }

    private static func hexadecimal(_ value: UInt64) -> String {
        let digits = String(value, radix: 16)
        return String(repeating: "0", count: 16 - digits.utf8.count) + digits
    }

    private static func escaped(_ name: String) -> String {
        var text = ""
        for byte in name.utf8 {
            if byte > 0x20, byte < 0x7F, byte != 0x25 {
                text.unicodeScalars.append(Unicode.Scalar(byte))
            } else {
                text += byte < 16 ? "%0" : "%"
                text += String(byte, radix: 16)
            }
        }
        return text
    }
}

/// The lines of one tenant while they are read.
private struct AccountLines {
    private let name: String
    private let clock: Int64
    private let day: Int64
    private let month: Int64
    private var used: [7 of Double] = [0, 0, 0, 0, 0, 0, 0]

    /// Microseconds that doubles hold exactly.
    private static let times: ClosedRange<Int64> = 0...(1 << 52)
    private static let amounts = 0...1e18

    init?(_ words: [String]) {
        guard words.count == 5, let name = Self.unescaped(words[1]),
            let clock = Int64(words[2]), Self.times.contains(clock),
            let day = Int64(words[3]), Self.times.contains(day),
            let month = Int64(words[4]), Self.times.contains(month)
        else { return nil }
        self.name = name
        self.clock = clock
        self.day = day
        self.month = month
    }

    /// False when the line is no `used` line.
    mutating func take(_ words: [String]) -> Bool {
        guard words.count == 3, let kind = LimitKind(rawValue: words[1]),
            let amount = Double(words[2]), Self.amounts.contains(amount)
        else { return false }
        used[kind.index] = amount
        return true
    }

    var saved: SavedAccount {
        SavedAccount(
            name: name, account: Account(used: used, clock: clock, day: day, month: month))
    }

    private static func unescaped(_ text: String) -> String? {
        var bytes: [UInt8] = []
        var rest = text.utf8[...]
        while let byte = rest.popFirst() {
            guard byte == 0x25 else {
                bytes.append(byte)
                continue
            }
            let digits = String(decoding: rest.prefix(2), as: UTF8.self)
            guard digits.utf8.count == 2, let value = UInt8(digits, radix: 16) else { return nil }
            bytes.append(value)
            rest = rest.dropFirst(2)
        }
        return String(validating: bytes, as: UTF8.self)
    }
}
