// SPDX-License-Identifier: Apache-2.0

/// Constants for looking at the eight bytes of a word at once.
///
/// A byte is flagged by its highest bit. Subtracting the lower bound of a range from every byte
/// sets that bit where the byte is below it; the borrow can flag a neighbour wrongly, but only
/// above a byte that is flagged rightly, so the lowest flag of a little-endian word is always true.
enum Lanes {
    /// Times a byte: that byte in each lane.
    static let ones: UInt64 = 0x0101_0101_0101_0101
    /// The highest bit of each lane.
    static let highs: UInt64 = 0x8080_8080_8080_8080
    /// The bit that tells small letters from capitals.
    static let cases: UInt64 = 0x2020_2020_2020_2020
}
