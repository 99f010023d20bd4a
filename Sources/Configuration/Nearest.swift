// SPDX-License-Identifier: Apache-2.0

/// The known name that a mistyped one most likely meant.
enum Nearest {
    /// Longer texts are not typing errors, and comparing them would cost.
    private static let longest = 64

    /// The candidate with the fewest insertions, deletions, changes and swaps of neighbours away
    /// from `name`; nil when that is more than a third of its length. The first of equals wins.
    static func name(to name: String, among candidates: [String]) -> String? {
        let wanted = Array(fold(name).utf8)
        guard wanted.count <= longest else { return nil }
        var best: (distance: Int, name: String)?
        for candidate in candidates {
            let bytes = Array(fold(candidate).utf8)
            guard bytes.count <= longest else { continue }
            let distance = distance(wanted, bytes)
            guard distance <= max(1, min(wanted.count, bytes.count) / 3) else { continue }
            if best.map({ distance < $0.distance }) ?? true { best = (distance, candidate) }
        }
        return best?.name
    }

    /// `; did you mean '…'?`, or nothing.
    static func hint(to name: String, among candidates: [String]) -> String {
        self.name(to: name, among: candidates).map { "; did you mean '\($0)'?" } ?? ""
    }

    /// `maxBody`, `max-body` and `max_body` are the same to somebody who cannot remember.
    private static func fold(_ name: String) -> String {
        String(name.unicodeScalars.filter { $0 != "_" && $0 != "-" }.map(Character.init))
            .lowercased()
    }

    /// Optimal string alignment.
    private static func distance(_ left: [UInt8], _ right: [UInt8]) -> Int {
        var beforeLast: [Int] = []
        var last = Array(0...right.count)
        for (row, byte) in left.enumerated() {
            var current = [row + 1]
            for (column, other) in right.enumerated() {
                var cost = min(
                    last[column + 1] + 1, current[column] + 1,
                    last[column] + (byte == other ? 0 : 1))
                if row > 0, column > 0, byte == right[column - 1], left[row - 1] == other {
                    cost = min(cost, beforeLast[column - 1] + 1)
                }
                current.append(cost)
            }
            beforeLast = last
            last = current
        }
        return last[right.count]
    }
}
