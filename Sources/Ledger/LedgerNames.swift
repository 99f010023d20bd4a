// SPDX-License-Identifier: Apache-2.0

/// How the files of one ledger are told from others beside them.
public enum LedgerNames {
    /// Of the names in a folder those of full files of `name`, oldest first: `name` and the time of
    /// their end, and a number where several ended in the same microsecond.
    public static func full(_ name: String, among names: [String]) -> [String] {
        names.compactMap { other -> (String, Substring, Int)? in
            guard other.hasPrefix(name + ".") else { return nil }
            let parts = other.dropFirst(name.count + 1)
                .split(separator: ".", omittingEmptySubsequences: false)
            guard parts.count == 2 || parts.count == 3, isTime(parts[0], parts[1]) else {
                return nil
            }
            guard parts.count == 3 else { return (other, other[...], 1) }
            guard let number = Int(parts[2]), number > 1 else { return nil }
            return (other, other.dropLast(parts[2].count + 1), number)
        }
        .sorted { ($0.1, $0.2) < ($1.1, $1.2) }.map(\.0)
    }

    /// `20261128T190501` and `123456Z`.
    private static func isTime(_ seconds: Substring, _ micros: Substring) -> Bool {
        let first = Array(seconds.utf8)
        let second = Array(micros.utf8)
        let isDigit = { (byte: UInt8) in (0x30...0x39).contains(byte) }
        return first.count == 15 && first[8] == UInt8(ascii: "T")
            && first[..<8].allSatisfy(isDigit) && first[9...].allSatisfy(isDigit)
            && second.count == 7 && second[6] == UInt8(ascii: "Z")
            && second[..<6].allSatisfy(isDigit)
    }
}
