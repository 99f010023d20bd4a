// SPDX-License-Identifier: Apache-2.0

/// The latest of a numbered row, a fixed number of them: the element with number n stands at the
/// place n modulo the limit, and the newest there stays. Numbers count from 1; zero finds nothing.
///
/// Several rings of one limit that are given the same numbers forget the same ones. Memory is taken
/// as places are needed.
public struct NumberedRing<Element> {
    /// So many are kept; none where it is zero.
    public private(set) var limit: Int
    /// Zero where nothing stands.
    @usableFromInline var numbers: [UInt64] = []
    @usableFromInline var elements: [Element] = []

    /// None yet.
    public init(limit: Int) { self.limit = max(0, limit) }

    /// Keeps it, unless something newer stands at its place.
    @inlinable
    public mutating func put(_ number: UInt64, _ element: Element) {
        guard limit > 0, number > 0 else { return }
        let place = Int(number % UInt64(limit))
        while numbers.count <= place {
            numbers.append(0)
            // Stands there unseen, since its number is not this place's.
            elements.append(element)
        }
        guard numbers[place] <= number else { return }
        numbers[place] = number
        elements[place] = element
    }

    /// Nil when it was never put there, or has given way.
    @inlinable
    public subscript(number: UInt64) -> Element? {
        place(of: number).map { elements[$0] }
    }

    /// What stands at a place that `place(of:)` has told.
    @inlinable
    public subscript(at place: Int) -> Element {
        _read { yield elements[place] }
        _modify { yield &elements[place] }
    }

    /// Changes it in place; false when it is not there.
    @inlinable
    @discardableResult
    public mutating func update(_ number: UInt64, _ change: (inout Element) -> Void) -> Bool {
        guard let place = place(of: number) else { return false }
        change(&elements[place])
        return true
    }

    /// Where it stands until the next `put` or `resize`; nil when it is not there.
    @inlinable
    public func place(of number: UInt64) -> Int? {
        guard limit > 0, number > 0 else { return nil }
        let place = Int(number % UInt64(limit))
        return place < numbers.count && numbers[place] == number ? place : nil
    }

    /// The newest one that is meant, and its number.
    public func newest(where isMeant: (Element) -> Bool) -> (number: UInt64, element: Element)? {
        var found: Int?
        for place in numbers.indices where numbers[place] > (found.map { numbers[$0] } ?? 0) {
            if isMeant(elements[place]) { found = place }
        }
        return found.map { (numbers[$0], elements[$0]) }
    }

    /// All that stand, oldest place first, with their numbers.
    @inlinable
    public func each(_ body: (_ number: UInt64, _ element: Element) -> Void) {
        for place in numbers.indices where numbers[place] > 0 {
            body(numbers[place], elements[place])
        }
    }

    /// Another number of them: of those that would stand at one place the newest stays.
    public mutating func resize(to limit: Int) {
        guard limit != self.limit else { return }
        var other = NumberedRing(limit: limit)
        for place in numbers.indices { other.put(numbers[place], elements[place]) }
        self = other
    }
}

extension NumberedRing: Sendable where Element: Sendable {}
