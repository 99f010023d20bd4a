// SPDX-License-Identifier: Apache-2.0

/// The numbers of entries that were read, by gateway, so that one that stands twice counts once.
///
/// Numbers of one gateway follow each other, so that runs of them are one pair each, however many
/// entries there are: what grows is the number of gateways, and of gaps.
public struct SeenNumbers: Sendable {
    /// Runs that are kept in all, of 32 bytes; beyond, `take` says `.full`.
    public static let mostRuns = 4_000_000

    /// What became of a number.
    public enum Outcome: Sendable, Equatable {
        case new
        case repeated
        /// There is no room to remember it.
        case full
    }

    private var runs: [UInt64: [ClosedRange<UInt64>]] = [:]
    private var count = 0

    /// None yet.
    public init() {}

    /// Notes a number of a gateway.
    public mutating func take(_ number: UInt64, of gateway: UInt64) -> Outcome {
        guard count < Self.mostRuns else { return .full }
        return Self.note(number, in: &runs[gateway, default: []], &count)
    }

    private static func note(
        _ number: UInt64, in list: inout [ClosedRange<UInt64>], _ count: inout Int
    ) -> Outcome {
        // Mostly it follows the last one.
        if let last = list.last, last.upperBound < number {
            if last.upperBound == number - 1 {
                list[list.count - 1] = last.lowerBound...number
            } else {
                list.append(number...number)
                count += 1
            }
            return .new
        }
        let place = firstRun(endingAtOrAfter: number, in: list)
        guard place < list.count else {
            list.append(number...number)
            count += 1
            return .new
        }
        if list[place].contains(number) { return .repeated }
        let joinsNext = list[place].lowerBound == number + 1
        let joinsLast = place > 0 && list[place - 1].upperBound == number - 1
        switch (joinsLast, joinsNext) {
        case (true, true):
            list[place - 1] = list[place - 1].lowerBound...list[place].upperBound
            list.remove(at: place)
            count -= 1
        case (true, false): list[place - 1] = list[place - 1].lowerBound...number
        case (false, true): list[place] = number...list[place].upperBound
        case (false, false):
            list.insert(number...number, at: place)
            count += 1
        }
        return .new
    }

    private static func firstRun(
        endingAtOrAfter number: UInt64, in list: [ClosedRange<UInt64>]
    ) -> Int {
        var low = 0
        var high = list.count
        while low < high {
            let middle = (low + high) / 2
            if list[middle].upperBound < number { low = middle + 1 } else { high = middle }
        }
        return low
    }
}
