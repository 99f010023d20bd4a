// SPDX-License-Identifier: Apache-2.0

public import Units

/// Cuts a prompt's text into blocks and names each by a hash of all that stands before its end, so
/// that two prompts share a block's name exactly when they share everything up to there.
///
/// Blocks are of decoded text and all equally long; what is left over at the end has no name. The
/// names depend on the text alone, not on the pieces in which it comes. The hash folds words of
/// eight bytes by multiplication to 128 bits (as wyhash does): quick, and good enough for a hint.
/// It is no proof of equality, and nothing but the choice of an endpoint may depend on it.
public struct PrefixMeter: TextMeter, Sendable {
    /// Bytes of text in a block.
    public static let blockBytes = 512

    /// The names, first block first; `maxBlocks` at most.
    public private(set) var blocks: [UInt64] = []
    private let maxBlocks: Int
    private var state: UInt64
    /// Bytes that do not fill a word yet, the first one lowest.
    private var pending: UInt64 = 0
    private var pendingBits: UInt64 = 0
    /// Words of the present block.
    private var words = 0

    /// Prompts are looked at up to `maxBlocks` blocks, at least one.
    public init(maxBlocks: Int) {
        self.maxBlocks = max(maxBlocks, 1)
        state = Self.start
    }

    private static let start: UInt64 = 0x9E37_79B9_7F4A_7C15
    private static let wordsPerBlock = blockBytes / 8

    /// Takes the next piece.
    public mutating func feed(_ text: RawSpan) {
        guard blocks.count < maxBlocks else { return }
        var at = 0
        while at + 8 <= text.byteCount {
            let word = unsafe UInt64(
                littleEndian: text.unsafeLoadUnaligned(fromByteOffset: at, as: UInt64.self))
            take(pending | word &<< pendingBits)
            // A shift by 64 gives nothing, as it must where nothing was pending.
            pending = word >> (64 - pendingBits)
            at += 8
        }
        while at < text.byteCount {
            put(unsafe text.unsafeLoad(fromByteOffset: at, as: UInt8.self))
            at += 1
        }
    }

    /// A separate text begins: a byte that no UTF-8 text contains stands between the two.
    public mutating func boundary() {
        guard blocks.count < maxBlocks else { return }
        put(0xFF)
    }

    /// Of everything that was fed.
    public var digest: UInt64 { PrefixHash.mix(PrefixHash.mix(state, pending), pendingBits) }

    @inline(__always)
    private mutating func put(_ byte: UInt8) {
        pending |= UInt64(byte) << pendingBits
        pendingBits += 8
        guard pendingBits == 64 else { return }
        take(pending)
        pending = 0
        pendingBits = 0
    }

    @inline(__always)
    private mutating func take(_ word: UInt64) {
        state = PrefixHash.fold(state ^ word, 0xA076_1D64_78BD_642F)
        words += 1
        guard words == Self.wordsPerBlock else { return }
        words = 0
        if blocks.count < maxBlocks { blocks.append(state) }
    }
}

/// The arithmetic of block names.
public enum PrefixHash {
    /// The product of both, its halves folded together.
    @inlinable
    public static func fold(_ left: UInt64, _ right: UInt64) -> UInt64 {
        let product = left.multipliedFullWidth(by: right)
        return product.high ^ product.low
    }

    /// As much of a block's name as is told to other gateways.
    @inlinable
    public static func short(_ name: UInt64) -> UInt64 { name & (1 << 52 - 1) }

    /// Mixes a number into a hash; not commutative.
    @inlinable
    public static func mix(_ hash: UInt64, _ value: UInt64) -> UInt64 {
        fold(hash ^ 0xE703_7ED1_A0B4_28DB, value ^ 0x8EBC_6AF0_9C88_C6E3)
    }
}
