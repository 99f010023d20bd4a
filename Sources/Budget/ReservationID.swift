// SPDX-License-Identifier: Apache-2.0

/// The name of one reservation, unlike any other of any process: what makes reserve and settle
/// idempotent.
public struct ReservationID: Hashable, Sendable {
    /// Of the process and its start.
    public let nonce: UInt64
    /// Of the worker and the reservation there.
    public let number: UInt64

    public init(nonce: UInt64, number: UInt64) {
        self.nonce = nonce
        self.number = number
    }
}

/// Gives each reservation of one worker its name.
public struct ReservationNaming: Sendable {
    private let nonce: UInt64
    private var last: UInt64

    /// `nonce`: random, one for the process's life. `worker`: below 256.
    public init(nonce: UInt64, worker: Int) {
        self.nonce = nonce
        last = UInt64(worker & 0xFF) << 56
    }

    public mutating func next() -> ReservationID {
        last += 1
        return ReservationID(nonce: nonce, number: last)
    }
}
