// SPDX-License-Identifier: Apache-2.0

import Budget
import Policy
import Units

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

/// What an account is called in a store: no two have the same.
struct AccountName: Hashable, Sendable {
    let root: String
    let path: String
}

/// An account under the name that survives restarts.
struct SavedAccount: Sendable {
    let name: AccountName
    let account: Account
}

/// What a file had of them.
struct SavedBudgets: Sendable {
    let accounts: [SavedAccount]
    let overrides: [StoredOverride]
}

/// The text in which budgets survive a restart:
///
///     penstock-budgets 2
///     override <tenant> <expires, µs since 1970, or 0> <words of the limits>
///     account <root> <path> <clock, µs since 1970>
///     used <code of the limit> <amount> <outflow, or beginning of the window>
///     checksum <16 hexadecimal digits, FNV-1a of all before>
///
/// A name's bytes outside of the visible ASCII characters, and `%`, are written as `%` and two
/// digits.
enum BudgetSnapshot {
    static let limitBytes = 64 << 20
    private static let head = "penstock-budgets 2\n"
    private static let checksumWord = "checksum "

    static func encode(
        _ accounts: [SavedAccount], overrides: [StoredOverride] = []
    ) -> [UInt8] {
        var text = head
        for override in overrides {
            let expires = override.expires?.microseconds ?? 0
            text += "override \(escaped(override.tenant)) \(expires) \(override.limits.words)\n"
        }
        for saved in accounts {
            let root = escaped(saved.name.root)
            text += "account \(root) \(escaped(saved.name.path)) \(saved.account.clock)\n"
            saved.account.eachCounter { code, used, second in
                if used > 0 { text += "used \(escaped(code.text)) \(used) \(second)\n" }
            }
        }
        var bytes = Array(text.utf8)
        let sum = checksum(bytes[...])
        bytes.append(contentsOf: "\(checksumWord)\(hexadecimal(sum))\n".utf8)
        return bytes
    }

    static func decode(_ bytes: [UInt8]) throws(SnapshotFault) -> SavedBudgets {
        guard bytes.count <= limitBytes else { throw .tooLarge(limitBytes: limitBytes) }
        guard bytes.starts(with: head.utf8) else { throw .unknownVersion }
        let tailCount = checksumWord.utf8.count + 17
        guard bytes.count >= head.utf8.count + tailCount else { throw .damaged }
        let body = bytes.dropLast(tailCount)
        let tail = "\(checksumWord)\(hexadecimal(checksum(body)))\n"
        guard bytes.suffix(tailCount).elementsEqual(tail.utf8) else { throw .damaged }
        return try parse(body.dropFirst(head.utf8.count))
    }

    private static func parse(_ body: ArraySlice<UInt8>) throws(SnapshotFault) -> SavedBudgets {
        var accounts: [SavedAccount] = []
        var overrides: [StoredOverride] = []
        var open: AccountLines?
        var number = 1
        for line in body.split(separator: 0x0A) {
            number += 1
            let words = line.split(separator: 0x20).map { String(decoding: $0, as: UTF8.self) }
            switch words.first {
            case "account":
                if let open { accounts.append(open.saved) }
                guard let next = AccountLines(words) else { throw .malformed(line: number) }
                open = next
            case "override":
                guard let override = override(words) else { throw .malformed(line: number) }
                overrides.append(override)
            case "used":
                guard open?.take(words) == true else { throw .malformed(line: number) }
            default:
                throw .malformed(line: number)
            }
        }
        if let open { accounts.append(open.saved) }
        return SavedBudgets(accounts: accounts, overrides: overrides)
    }

    private static func override(_ words: [String]) -> StoredOverride? {
        guard words.count > 3, let tenant = AccountLines.unescaped(words[1]),
            let expires = Int64(words[2]), (0...(1 << 53)) ~= expires,
            let limits = LimitOverride(words: words[3...].joined(separator: " "))
        else { return nil }
        return StoredOverride(
            tenant: tenant, limits: limits,
            expires: expires > 0 ? WallTime(nanoseconds: expires * 1_000) : nil)
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

/// The lines of one account while they are read.
private struct AccountLines {
    private let name: AccountName
    private var account: Account

    /// Microseconds that doubles hold exactly.
    private static let times: ClosedRange<Int64> = 0...(1 << 52)
    private static let amounts = 0...1e18
    private static let mostCounters = 64

    init?(_ words: [String]) {
        guard words.count == 4, let root = Self.unescaped(words[1]),
            let path = Self.unescaped(words[2]), let clock = Int64(words[3]),
            Self.times.contains(clock)
        else { return nil }
        name = AccountName(root: root, path: path)
        account = Account(clock: clock)
    }

    /// False when the line is no `used` line.
    mutating func take(_ words: [String]) -> Bool {
        guard words.count == 4, let code = Self.unescaped(words[1]), !code.isEmpty,
            let amount = Double(words[2]), Self.amounts.contains(amount),
            let second = Double(words[3]), (-1e18...1e18).contains(second),
            account.counterCount < Self.mostCounters
        else { return false }
        // One that no limit here has means nothing.
        guard let code = LimitCode(code) else { return true }
        account.put(code, used: amount, second: second)
        return true
    }

    var saved: SavedAccount { SavedAccount(name: name, account: account) }

    static func unescaped(_ text: String) -> String? {
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
