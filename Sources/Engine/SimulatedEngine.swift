// SPDX-License-Identifier: Apache-2.0

import Simulation
import Units
import Wire

/// An engine in real time: requests in, tokens out, nothing of sockets.
///
/// Called with the process's time; inside, the model's clock runs.
struct SimulatedEngine {
    let setup: EngineSetup
    /// The model's name as a JSON text.
    private let modelText: String
    private let clock: EngineClock
    private let draw: OutputDraw
    private var model: EngineModel
    private var generations: Slab<Generation>
    /// By the slot of a sequence: whose choice it is.
    private var places: [Place?] = []
    private var random: SplitMix64
    private var events: [EngineEvent] = []
    /// Generations with something new to tell, each once.
    private var touched: [SlabKey] = []
    private(set) var statistics: EngineStatistics

    private struct Place {
        let generation: SlabKey
        let choice: Int
    }

    init(_ setup: EngineSetup, now: Instant) {
        self.setup = setup
        var name = ByteBuffer()
        JSONWriter.write(into: &name) { $0.string(setup.model) }
        modelText = unsafe String(decoding: name.readable, as: UTF8.self)
        clock = EngineClock(origin: now, speed: setup.speed)
        draw = OutputDraw(median: setup.medianOutput, spread: setup.outputSpread)
        model = EngineModel(
            setup.profile, prefixUnit: WordTokenizer.hashUnit, maxHeld: setup.maxHeld)
        generations = Slab(limit: setup.maxHeld)
        random = SplitMix64(seed: setup.seed)
        statistics = EngineStatistics(context: setup.contextLimit)
    }

    var gauges: EngineGauges { model.gauges }
    var counters: EngineCounters { model.counters }
    var generationTokens: Int { model.counters.generationTokens.count - statistics.embeddings }

    subscript(key: SlabKey) -> Generation? { generations[key] }

    /// When `advance` is wanted next; nil when idle.
    var deadline: Instant? { model.nextStepEnd.map { clock.realTime($0) } }

    /// It has made all the tokens it was to make before its death.
    var isDead: Bool {
        guard case .dies(let tokens) = setup.misbehaviour else { return false }
        return generationTokens >= tokens.count
    }

    /// Queues all sequences of a request, or none. `created`: seconds since 1970.
    mutating func begin(
        _ request: GenerationRequest, server: SlabKey, created: Int, now: Instant
    ) throws(RequestFault) -> SlabKey {
        if let name = request.model, name != setup.model {
            throw .unknownModel(name, known: setup.model)
        }
        let bounds = try request.bounds(
            context: setup.contextLimit, maxChoices: setup.maxHeld)
        guard setup.misbehaviour != .refuses, let key = generations.nextKey,
            request.prompts.count * request.choices <= setup.maxHeld
        else { throw .busy }
        let choices = try submit(request, bounds, clock.engineTime(now))
        let generation = Generation(
            request, id: newID(request.kind), created: created, server: server,
            model: modelText, choices: choices)
        _ = generations.insert(generation)
        for (place, choice) in choices.enumerated() {
            while places.count <= choice.sequence.slot { places.append(nil) }
            places[choice.sequence.slot] = Place(generation: key, choice: place)
        }
        return key
    }

    /// The client has gone: its sequences leave the engine at once.
    mutating func cancel(_ key: SlabKey, now: Instant) {
        guard let generation = generations.remove(key) else { return }
        for choice in generation.choices where !choice.isFinished {
            withdraw(choice.sequence, now: clock.engineTime(now))
        }
    }

    /// The generation's answer is written to its end.
    mutating func close(_ key: SlabKey) { generations.remove(key) }

    /// Does what is due, and hands out those that have something new to tell since the last call.
    mutating func advance(to now: Instant, touched news: inout [SlabKey]) {
        model.advance(to: clock.engineTime(now), into: &events)
        settle()
        for key in touched { generations[key]?.isTouched = false }
        news.append(contentsOf: touched)
        touched.removeAll(keepingCapacity: true)
    }

    // MARK: beginning

    private mutating func submit(
        _ request: GenerationRequest, _ bounds: [Int], _ now: Instant
    ) throws(RequestFault) -> [Choice] {
        var choices: [Choice] = []
        for (place, prompt) in request.prompts.enumerated() {
            for _ in 0..<(request.kind == .embeddings ? 1 : request.choices) {
                let seed = seed(of: prompt, choice: choices.count, request)
                let output = output(request, bound: bounds[place], seed: seed)
                do throws(EngineRefusal) {
                    let sequence = try model.submit(
                        prompt: prompt.tokens, output: Tokens(output),
                        prefixHashes: prompt.hashes, now: now, into: &events)
                    settle()
                    choices.append(
                        Choice(
                            index: choices.count, sequence: sequence, promptTokens: prompt.tokens,
                            text: WordText(seed: seed), output: output,
                            isCut: request.kind != .embeddings && output == bounds[place],
                            arrivedAt: now))
                } catch {
                    for choice in choices { withdraw(choice.sequence, now: now) }
                    throw .busy
                }
            }
        }
        return choices
    }

    private func output(_ request: GenerationRequest, bound: Int, seed: UInt64) -> Int {
        if request.kind == .embeddings { return 1 }
        if request.ignoresEnd { return bound }
        let own = max(1, request.ownLength ?? draw.length(seed: seed))
        return min(bound, max(request.minTokens, own))
    }

    /// The same for the same engine, request and choice, whatever else goes on.
    private func seed(
        of prompt: GenerationRequest.Prompt, choice: Int, _ request: GenerationRequest
    ) -> UInt64 {
        var mixed = SplitMix64(seed: setup.seed ^ prompt.digest)
        let own = UInt64(bitPattern: Int64(request.seed ?? 0))
        return mixed.next() ^ (own &* 0x9E37_79B9_7F4A_7C15) &+ UInt64(choice) &* 0xD1B5
    }

    private mutating func newID(_ kind: GenerationRequest.Kind) -> String {
        let prefix: String
        switch kind {
        case .chat, .messages: prefix = "chatcmpl-"
        case .responses: prefix = "resp_"
        case .completions: prefix = "cmpl-"
        case .embeddings: prefix = "embd-"
        }
        let digits = String(random.next(), radix: 16)
        return prefix + String(repeating: "0", count: 16 - digits.count) + digits
    }

    private mutating func withdraw(_ sequence: SequenceID, now: Instant) {
        _ = model.cancel(sequence, now: now, into: &events)
        settle()
        if sequence.slot < places.count { places[sequence.slot] = nil }
    }

    // MARK: going on

    /// Takes the model's reports in. To be called after each call of the model: a slot may be given
    /// anew in the next one.
    private mutating func settle() {
        for event in events { take(event) }
        events.removeAll(keepingCapacity: true)
    }

    private mutating func take(_ event: EngineEvent) {
        switch event {
        case .admitted(let id, let cached, let at):
            change(id) { choice, generation, _, _ in
                guard choice.admittedAt == nil else { return }
                choice.admittedAt = at
                choice.cached = cached
                // Each prompt counts once, however many choices it has.
                if choice.index % max(1, generation.stated.choices) == 0 {
                    generation.cachedTokens += cached
                }
            }
        case .firstToken(let id, let at): made(id, 1, at)
        case .tokens(let id, let count, let at): made(id, count, at)
        case .preempted(let id, _):
            change(id) { choice, _, _, _ in choice.preemptions += 1 }
        case .finished(let id, _):
            change(id) { choice, generation, statistics, clock in
                choice.isFinished = true
                statistics.finished(choice, generation, clock)
            }
            places[id.slot] = nil
        }
    }

    private mutating func made(
        _ id: SequenceID, _ count: Int, _ at: Instant
    ) {
        guard id.slot < places.count, let place = places[id.slot] else { return }
        change(id) { choice, _, statistics, clock in
            statistics.tokens(choice, count: count, at: at, clock)
            if choice.firstAt == nil { choice.firstAt = at }
            choice.lastAt = at
            choice.made += count
        }
        guard let generation = generations[place.generation], !generation.isTouched else { return }
        generation.isTouched = true
        touched.append(place.generation)
    }

    /// Nothing for a sequence whose client has gone in the same turn.
    private mutating func change(
        _ id: SequenceID,
        _ body: (inout Choice, Generation, inout EngineStatistics, EngineClock) -> Void
    ) {
        guard id.slot < places.count, let place = places[id.slot],
            let generation = generations[place.generation]
        else { return }
        var choice = generation.choices[place.choice]
        guard choice.sequence == id else { return }
        body(&choice, generation, &statistics, clock)
        generation.choices[place.choice] = choice
    }
}
