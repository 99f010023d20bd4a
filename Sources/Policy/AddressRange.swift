// SPDX-License-Identifier: Apache-2.0

/// Addresses that begin alike: `10.0.0.0/8`, `fd00::/8`, or one of them.
///
/// All are of IPv6, those of IPv4 in their mapped form (RFC 4291 section 2.5.5.2), so that a client
/// of IPv4 is the same at a socket of either family.
public struct AddressRange: Sendable, Hashable {
    private let high: UInt64
    private let low: UInt64
    /// Bits that are fixed, 0 to 128; of IPv4 96 to 128.
    private let length: Int

    /// Nil where a bit beyond `length` is set, or `length` is not within 0...128.
    public init?(high: UInt64, low: UInt64, length: Int) {
        guard (0...128).contains(length) else { return nil }
        let (highMask, lowMask) = Self.masks(length)
        guard high & ~highMask == 0, low & ~lowMask == 0 else { return nil }
        self.high = high
        self.low = low
        self.length = length
    }

    /// Ranges of IPv6 that are wider than all of IPv4 do not hold it: `::/0` is IPv6 only.
    public func contains(high: UInt64, low: UInt64) -> Bool {
        if high == 0, low >> 32 == 0xFFFF, length < 96 { return false }
        let (highMask, lowMask) = Self.masks(length)
        return high & highMask == self.high && low & lowMask == self.low
    }

    private static func masks(_ length: Int) -> (UInt64, UInt64) {
        (mask(min(length, 64)), mask(max(0, length - 64)))
    }

    private static func mask(_ bits: Int) -> UInt64 { bits == 0 ? 0 : ~0 << UInt64(64 - bits) }
}
