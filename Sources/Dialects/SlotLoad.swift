// SPDX-License-Identifier: Apache-2.0

public import Units
import Wire

/// What llama-server's `/slots` shows: its metrics have no gauge of the KV cache.
public struct SlotLoad: Sendable, Equatable {
    /// Sequences that can run at once.
    public private(set) var slots = 0
    /// Slots with a request.
    public private(set) var processing = 0
    /// Prompt and generated tokens of the slots that work. An idle slot keeps its prompt until
    /// another one needs the room: it counts as free, as it does with other engines.
    public private(set) var usedTokens = Tokens.zero
    /// The contexts of all slots.
    public private(set) var capacityTokens = Tokens.zero

    /// Reads the JSON answer; nil when it is none, or of a version that does not tell.
    public init?(answer body: RawSpan) {
        do {
            guard try read(body), slots > 0, capacityTokens > .zero else { return nil }
        } catch { return nil }
    }

    /// Completes what the metrics lack. `unifiedContext` is the context that all slots share under
    /// `--kv-unified`, where each of them claims all of it.
    public func complete(_ metrics: inout EngineMetrics, unifiedContext: Tokens? = nil) {
        let capacity = unifiedContext ?? capacityTokens
        metrics.running = metrics.running ?? processing
        metrics.kvUsedTokens = usedTokens
        metrics.kvCapacityTokens = capacity
        metrics.kvUsage = min(Double(usedTokens.count) / Double(max(capacity.count, 1)), 1)
    }

    /// Whether every slot said what it is, and every working one what it holds.
    private mutating func read(_ body: RawSpan) throws(JSONFault) -> Bool {
        var scanner = JSONScanner()
        guard try scanner.next(in: body) == .beginArray else { return false }
        while true {
            let element = try scanner.next(in: body)
            if element == .endArray { break }
            guard element == .beginObject else { return false }
            guard try readSlot(&scanner, body) else { return false }
        }
        return try scanner.next(in: body) == .end
    }

    private mutating func readSlot(
        _ scanner: inout JSONScanner, _ body: RawSpan
    ) throws(JSONFault) -> Bool {
        var context: Int?
        var held: Int?
        var isProcessing: Bool?
        while case .key(let name) = try scanner.next(in: body) {
            let token = try scanner.next(in: body)
            if name.equals("n_ctx", in: body) {
                context = SlotLoad.count(token, body)
            } else if name.equals("n_prompt_tokens", in: body) {
                held = SlotLoad.count(token, body)
            } else if name.equals("is_processing", in: body) {
                isProcessing = SlotLoad.flag(token)
            }
            try scanner.skip(token, in: body)
        }
        guard let context, let isProcessing else { return false }
        slots += 1
        capacityTokens += Tokens(context)
        guard isProcessing else { return true }
        // A slot that never had a request says nothing of tokens; one that works must.
        guard let held else { return false }
        processing += 1
        usedTokens += Tokens(held)
        return true
    }

    private static func flag(_ token: JSONToken) -> Bool? {
        if case .bool(let value) = token { value } else { nil }
    }

    private static func count(_ token: JSONToken, _ body: RawSpan) -> Int? {
        guard case .number(let digits) = token,
            case .whole(let value) = JSONNumber(digits, in: body), value >= 0, value <= 1 << 40
        else { return nil }
        return value
    }
}
