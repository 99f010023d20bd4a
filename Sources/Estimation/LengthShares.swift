// SPDX-License-Identifier: Apache-2.0

/// How many answers were how long, lately: eight classes of lengths to an octave, one by one below
/// eight tokens. Beyond `memory` answers older ones count for less.
struct LengthShares: Sendable {
    static let classes = 96
    private static let memory: Float = 512

    private var shares: [96 of Float] = .init(repeating: 0)
    private(set) var answers: Float = 0

    mutating func note(_ length: Int) {
        if answers >= Self.memory - 1 {
            let kept = 1 - 1 / Self.memory
            for place in shares.indices { shares[place] *= kept }
            answers *= kept
        }
        shares[Self.place(of: length)] += 1
        answers += 1
    }

    /// Leans on `other`, as if `weight` of its answers had been seen here.
    func blended(with other: LengthShares, weight: Float) -> LengthShares {
        guard other.answers > 0 else { return self }
        var blend = self
        let factor = weight / other.answers
        for place in shares.indices { blend.shares[place] += factor * other.shares[place] }
        blend.answers += weight
        return blend
    }

    /// The length that `share` of the answers do not exceed, as if lengths were even within a
    /// class; nil where none are known.
    func length(at share: Double) -> Int? {
        guard answers > 0 else { return nil }
        var left = Float(share) * answers
        for place in 0..<Self.classes where shares[place] > 0 {
            if shares[place] >= left || place == Self.classes - 1 {
                let low = place == 0 ? 0 : Self.longest(in: place - 1)
                let within = Double(min(left / shares[place], 1))
                return low + Int((Double(Self.longest(in: place) - low) * within).rounded(.up))
            }
            left -= shares[place]
        }
        return (0..<Self.classes).last { shares[$0] > 0 }.map { Self.longest(in: $0) }
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
