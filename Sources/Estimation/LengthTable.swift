// SPDX-License-Identifier: Apache-2.0

/// How many answers were how long, lately, a row for each who learns: eight classes of lengths to
/// an octave, one by one below eight tokens. Beyond `memory` answers a row's older ones count for
/// less.
///
/// All rows stand in one piece of memory and are read where they are: a copy of one costs more than
/// all that is asked of it.
struct LengthTable: Sendable {
    static let classes = 96
    private static let memory: Float = 512

    private var shares: [Float] = []
    private var answers: [Float] = []

    /// One more row, of nobody yet; its number.
    mutating func addRow() -> Int {
        shares.append(contentsOf: repeatElement(0, count: Self.classes))
        answers.append(0)
        return answers.count - 1
    }

    mutating func note(_ length: Int, in row: Int) {
        let first = row * Self.classes
        if answers[row] >= Self.memory - 1 {
            let kept = 1 - 1 / Self.memory
            var all = shares.mutableSpan
            for place in first..<first + Self.classes { all[place] *= kept }
            answers[row] *= kept
        }
        shares[first + Self.place(of: length)] += 1
        answers[row] += 1
    }

    /// The length that `share` of a row's answers do not exceed, as if lengths were even within a
    /// class. It leans on another row, as if `weight` of its answers had been seen here. Nil where
    /// both together have fewer than `least`.
    func length(
        at share: Double, of row: Int, leaningOn other: Int?, weight: Float, least: Float
    ) -> Int? {
        var all = answers[row]
        var factor: Float = 0
        let second = other ?? row
        if other != nil, answers[second] > 0 {
            factor = weight / answers[second]
            all += weight
        }
        guard all > 0, all >= least else { return nil }
        let shares = shares.span
        let (own, others) = (row * Self.classes, second * Self.classes)
        var left = Float(share) * all
        var longest = 0
        for place in 0..<Self.classes {
            let answers = shares[own + place] + factor * shares[others + place]
            guard answers > 0 else { continue }
            longest = Self.longest(in: place)
            if answers >= left {
                let low = place == 0 ? 0 : Self.longest(in: place - 1)
                let within = Double(min(left / answers, 1))
                return low + Int((Double(longest - low) * within).rounded(.up))
            }
            left -= answers
        }
        return longest
    }

    static func place(of length: Int) -> Int {
        guard length >= 8 else { return max(length, 1) - 1 }
        let octave = Int.bitWidth - 1 - length.leadingZeroBitCount
        return min(7 + (octave - 3) * 8 + (length >> (octave - 3)) - 8, classes - 1)
    }

    private static func longest(in place: Int) -> Int {
        guard place >= 7 else { return place + 1 }
        let octave = 3 + (place - 7) / 8
        return (9 + (place - 7) % 8) << (octave - 3) - 1
    }
}
