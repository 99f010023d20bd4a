// SPDX-License-Identifier: Apache-2.0

public import Units

/// Which leading blocks of prompts the open sequences of each endpoint hold, and by how many: what
/// several share is in a cache once.
///
/// A block that one sequence has is that sequence's own; one that several have is nobody's, and
/// becomes somebody's again when one is left. Who that is follows from the sum of the keys of all
/// who have it. At most `limit` blocks are known; what begins with further ones counts for each.
public struct HeldPrefixes: Sendable {
    private struct Block {
        /// Tokens, as whoever brought it had them.
        var tokens: Int
        var holders = 1
        /// Of their keys, wrapping.
        var sum: UInt64
        /// The look through an endpoint's blocks that has come to it last.
        var seen = 0
    }

    /// What has changed for others than the one that came or left.
    public struct Change: Sendable, Equatable {
        /// Of one that had blocks alone until now, or has them alone from now on.
        public var holder: SlabKey
        /// So much of its prompt became common, or its own again.
        public var tokens: Tokens

        public init(holder: SlabKey, tokens: Tokens) {
            self.holder = holder
            self.tokens = tokens
        }
    }

    /// Neighbouring blocks of one prompt that the same sequences have.
    public struct Run: Sendable, Equatable {
        /// The short name of its last block.
        public var key: UInt64
        public var tokens: Int
        /// Whose it is; nil where several have it.
        public var holder: SlabKey?

        public init(key: UInt64, tokens: Int, holder: SlabKey?) {
            self.key = key
            self.tokens = tokens
            self.holder = holder
        }
    }

    /// Blocks that are known at most.
    public let limit: Int
    private var blocks: [UInt64: Block] = [:]
    private var looks = 0

    /// `limit` bounds the blocks of all endpoints together.
    public init(limit: Int) { self.limit = limit }

    /// Blocks that are known.
    public var count: Int { blocks.count }

    private static func key(_ block: UInt64, _ endpoint: EndpointID) -> UInt64 {
        PrefixHash.mix(
            PrefixHash.short(block), UInt64(endpoint.index) &+ 0x9E37_79B9_7F4A_7C15)
    }

    /// Tokens of a block, by its name or its short one, and how many open sequences of the endpoint
    /// have it; nil where none does.
    public func block(
        _ name: UInt64, on endpoint: EndpointID
    ) -> (tokens: Int, holders: Int)? {
        blocks[Self.key(name, endpoint)].map { ($0.tokens, $0.holders) }
    }

    /// Tokens of a prompt with these leading blocks, `all` in it, that open sequences of the
    /// endpoint hold, those of them that one holds alone until now, and how many blocks that are.
    public func shared(
        _ prompt: [UInt64], of all: Tokens, on endpoint: EndpointID
    ) -> (tokens: Tokens, alone: Tokens, blocks: Int) {
        var (tokens, alone, count) = (0, 0, 0)
        for name in prompt {
            guard let block = blocks[Self.key(name, endpoint)], tokens + block.tokens <= all.count
            else { break }
            tokens += block.tokens
            count += 1
            if block.holders == 1 { alone += block.tokens }
        }
        return (Tokens(tokens), Tokens(alone), count)
    }

    /// A sequence with these leading blocks, `tokens` in each and `all` in its prompt, came to the
    /// endpoint. How many of the blocks are known from now on, how many of its tokens others hold
    /// too (never more than it has), and what changes for those who held them alone.
    public mutating func join(
        _ holder: SlabKey, _ prompt: [UInt64], tokens: Tokens, of all: Tokens,
        on endpoint: EndpointID, _ change: (Change) -> Void
    ) -> (blocks: Int, shared: Tokens) {
        var shared = 0
        var run: Change?
        for (place, name) in prompt.enumerated() {
            let key = Self.key(name, endpoint)
            guard var block = blocks[key] else {
                guard blocks.count < limit else {
                    if let run { change(run) }
                    return (place, Tokens(shared))
                }
                blocks[key] = Block(tokens: tokens.count, sum: holder.raw)
                continue
            }
            guard shared + block.tokens <= all.count else {
                if let run { change(run) }
                return (place, Tokens(shared))
            }
            shared += block.tokens
            if block.holders == 1 { Self.extend(&run, SlabKey(raw: block.sum), block, change) }
            block.holders += 1
            block.sum &+= holder.raw
            blocks[key] = block
        }
        if let run { change(run) }
        return (prompt.count, Tokens(shared))
    }

    /// It has left; `known` of its blocks were known.
    public mutating func leave(
        _ holder: SlabKey, _ prompt: [UInt64], known: Int, on endpoint: EndpointID,
        _ change: (Change) -> Void
    ) {
        var run: Change?
        for name in prompt.prefix(known) {
            let key = Self.key(name, endpoint)
            guard var block = blocks[key] else { continue }
            block.holders -= 1
            block.sum &-= holder.raw
            guard block.holders > 0 else {
                blocks[key] = nil
                continue
            }
            blocks[key] = block
            if block.holders == 1 { Self.extend(&run, SlabKey(raw: block.sum), block, change) }
        }
        if let run { change(run) }
    }

    /// Neighbours mostly belong to one: it is told once.
    private static func extend(
        _ run: inout Change?, _ holder: SlabKey, _ block: Block, _ change: (Change) -> Void
    ) {
        if run?.holder == holder {
            run?.tokens += Tokens(block.tokens)
        } else {
            if let run { change(run) }
            run = Change(holder: holder, tokens: Tokens(block.tokens))
        }
    }

    // MARK: runs

    /// A look through all that the sequences of an endpoint have begins.
    public mutating func beginRuns() { looks += 1 }

    /// The runs of one more of its sequences, `known` of whose blocks are known, as far as no
    /// other's were the same: they end where not all go on alike, and after blocks that are cuts.
    public mutating func addRuns(
        _ prompt: [UInt64], known: Int, on endpoint: EndpointID, cuts: PrefixCuts,
        into runs: inout [Run]
    ) {
        var run: (key: UInt64, tokens: Int, holders: Int, sum: UInt64)?
        func end() {
            guard let run else { return }
            let holder = run.holders == 1 ? SlabKey(raw: run.sum) : nil
            runs.append(Run(key: run.key, tokens: run.tokens, holder: holder))
        }
        for name in prompt.prefix(known).reversed() {
            let key = Self.key(name, endpoint)
            guard var block = blocks[key] else { continue }
            // From here on it was another one's too, and ended there: more have it.
            guard block.seen != looks else { break }
            block.seen = looks
            blocks[key] = block
            let short = PrefixHash.short(name)
            if let open = run, open.holders == block.holders, !cuts.contains(short) {
                run?.tokens += block.tokens
            } else {
                end()
                run = (short, block.tokens, block.holders, block.sum)
            }
        }
        end()
    }
}
