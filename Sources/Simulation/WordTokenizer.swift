// SPDX-License-Identifier: Apache-2.0

public import Units

/// The simulated engine's tokenizer: a run of bytes between white space is one token for every
/// started twelve.
///
/// It counts, and it hashes the text up to every 16th token, as an engine hashes full blocks:
/// prompts with the same leading hashes share that text. It makes no claim to any model's
/// tokenizer; its use is that a client can write a text of an exact number of tokens.
public struct WordTokenizer: TextMeter {
    /// A longer run is cut.
    public static let bytesPerToken = 12
    /// What one hash covers.
    public static let hashUnit = Tokens(16)

    private var tokens = 0
    private var hash: UInt64 = 0xCBF2_9CE4_8422_2325
    /// Bytes of the token under way; 0 between two.
    private var bytes = 0
    private var found: [UInt64] = []
    private let maxHashes: Int

    /// Keeps the first `maxHashes` hashes.
    public init(maxHashes: Int) { self.maxHashes = maxHashes }

    public var count: Tokens { Tokens(tokens) }
    /// Stands for the whole text so far.
    public var digest: UInt64 { hash }

    /// One for each full unit so far.
    public var hashes: [UInt64] {
        var all = found
        if isUnitFull, all.count < maxHashes { all.append(hash) }
        return all
    }

    public mutating func feed(_ text: RawSpan) {
        for at in text.byteOffsets {
            let byte = unsafe text.unsafeLoad(fromByteOffset: at, as: UInt8.self)
            switch byte {
            case 0x20, 0x09...0x0D: bytes = 0
            default: take(byte)
            }
        }
    }

    public mutating func boundary() { bytes = 0 }

    /// A token that the client gave as a number.
    public mutating func feed(tokenNumber: Int) {
        bytes = 0
        beginToken()
        mix(UInt64(bitPattern: Int64(tokenNumber)))
    }

    private var isUnitFull: Bool { tokens > 0 && tokens % Self.hashUnit.count == 0 }

    private mutating func take(_ byte: UInt8) {
        if bytes == 0 || bytes == Self.bytesPerToken {
            beginToken()
            bytes = 0
        }
        bytes += 1
        mix(UInt64(byte))
    }

    private mutating func beginToken() {
        if isUnitFull, found.count < maxHashes { found.append(hash) }
        tokens += 1
        mix(0x100)
    }

    /// FNV-1a, a step a byte; 0x100 stands between tokens.
    private mutating func mix(_ value: UInt64) { hash = (hash ^ value) &* 0x0000_0100_0000_01B3 }
}

/// Endless text of whole tokens, the same for the same seed: what simulated engines answer and what
/// replays ask.
public struct WordText: Sendable {
    public let seed: UInt64

    public init(seed: UInt64) { self.seed = seed }

    /// Appends a space and the token's word. The first of a text goes without a space: it counts
    /// the same.
    public func append(token number: Int, to buffer: inout ByteBuffer) {
        if number > 0 { buffer.append(byte: 0x20) }
        var random = SplitMix64(seed: seed &+ UInt64(truncatingIfNeeded: number) &* 0x9E37)
        buffer.append(Self.words[Int(random.next() & 63)])
    }

    /// Appends tokens `range` of the text.
    public func append(tokens range: Range<Int>, to buffer: inout ByteBuffer) {
        for number in range { append(token: number, to: &buffer) }
    }

    /// Each is one token, and needs no escaping in JSON.
    private static let words: [StaticString] = [
        "water", "river", "gate", "valve", "pipe", "flow", "head", "weir", "basin", "lake",
        "stream", "canal", "dam", "mill", "wheel", "turbine", "rotor", "blade", "shaft", "power",
        "level", "meter", "gauge", "pressure", "column", "surge", "tank", "intake", "screen",
        "trash", "rack", "spill", "crest", "slope", "bed", "bank", "reach", "bend", "delta",
        "tide", "rain", "snow", "melt", "spring", "well", "pump", "lift", "fall", "drop", "rise",
        "the", "a", "of", "and", "to", "in", "is", "it", "that", "for", "with", "as", "by", "at",
    ]
}
