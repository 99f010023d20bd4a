// SPDX-License-Identifier: Apache-2.0

public import Units

/// What a class that waits behind others is owed of all that is dispatched meanwhile: one twentieth
/// of the cost.
///
/// Classes go strictly in their order otherwise, and under load without end the last would never
/// have its turn. What is owed grows with every dispatch while the class waits, and its head is due
/// when at least half of it is covered, so that the share is met on average and not only caught up
/// with. A class that goes when nobody is before it runs up no debt beyond its last request, and
/// one that does not wait is owed nothing.
public struct ClassShare: Sendable, Equatable {
    /// One part in so many.
    public static let parts = 20

    /// In `parts`ths of a token of cost; below zero after a turn.
    private var owed = 0

    /// Nothing owed.
    public init() {}

    /// Somebody else was dispatched while the class waited.
    public mutating func others(_ cost: Tokens) { owed += cost.count }

    /// One of the class itself was dispatched.
    public mutating func own(_ cost: Tokens) {
        owed = max(owed - (Self.parts - 1) * cost.count, -Self.parts * cost.count / 2)
    }

    /// Nobody of the class waits any more.
    public mutating func rests() { owed = min(owed, 0) }

    /// Something is owed: a head may be due.
    public var isOwed: Bool { owed > 0 }

    /// A head of this cost goes before the classes that are ranked before its own.
    public func isDue(_ cost: Tokens) -> Bool {
        owed > 0 && owed >= Self.parts * cost.count / 2
    }
}
