// SPDX-License-Identifier: Apache-2.0

import Admission
import BasicContainers
import Policy
import Routing
import Units

extension PeakWalk.Sequence {
    /// The same where others hold so many tokens of it.
    func less(_ common: Tokens) -> PeakWalk.Sequence {
        PeakWalk.Sequence(held: held - common, rest: rest, width: width)
    }
}

/// Prompts that begin alike: what several open sequences of an endpoint share is held once, by none
/// of them.
extension Decider {
    /// What some endpoints hold already of a request's prompt: those where it is presumed warm.
    struct Common {
        private var at = [4 of Held](repeating: Held())
        private var count = 0

        mutating func add(_ held: Held) {
            guard held.tokens > .zero, count < at.count else { return }
            at[count] = held
            count += 1
        }

        func held(on endpoint: EndpointID) -> Held {
            for place in 0..<count where at[place].endpoint == endpoint { return at[place] }
            return Held()
        }
    }

    struct Held {
        var endpoint = EndpointID(0)
        var tokens = Tokens.zero
        /// Those of them that one sequence has alone: they will be there as long as either.
        var alone = Tokens.zero
    }

    func common(_ entry: Entry) -> Common {
        guard let key = entry.prefix, let prompt = prompts[key] else { return Common() }
        return common(entry, prompt, prefixes.match(prompt.blocks))
    }

    func common(_ entry: Entry, _ prompt: PromptPrefix, _ match: PrefixIndex.Match) -> Common {
        var common = Common()
        for place in 0..<match.count {
            let endpoint = match.warm[place].endpoint
            let own = held.shared(prompt.blocks, of: entry.input, on: endpoint)
            let others = heldElsewhere(
                prompt, of: entry.input, behind: own.blocks, at: endpoint)
            common.add(
                Held(
                    endpoint: endpoint, tokens: min(own.tokens + others.tokens, entry.input),
                    alone: own.alone + others.alone))
        }
        return common
    }

    /// The request as it would be at the endpoint.
    func sharing(_ entry: Entry, _ held: Held) -> Entry {
        var entry = entry
        entry.share(held)
        return entry
    }

    /// The request goes to the endpoint.
    mutating func joinCommon(_ ticket: Ticket, _ entry: inout Entry, at endpoint: EndpointID) {
        guard let key = entry.prefix, let prompt = prompts[key] else { return }
        let perBlock = perBlock(prompt, of: entry.input)
        var changes: [HeldPrefixes.Change] = []
        let (known, shared) = held.join(
            ticket, prompt.blocks, tokens: Tokens(perBlock), of: entry.input, on: endpoint
        ) { changes.append($0) }
        entry.common = shared
        entry.promoted = .zero
        entry.knownBlocks = known
        for change in changes { owns(change.holder, less: change.tokens, at: endpoint) }
        recountRuns(prompt.blocks, at: endpoint)
    }

    /// It has left.
    mutating func leaveCommon(_ ticket: Ticket, _ entry: Entry, at endpoint: EndpointID) {
        guard entry.knownBlocks > 0, let key = entry.prefix, let prompt = prompts[key] else {
            return
        }
        var changes: [HeldPrefixes.Change] = []
        held.leave(ticket, prompt.blocks, known: entry.knownBlocks, on: endpoint) {
            changes.append($0)
        }
        for change in changes {
            owns(change.holder, less: .zero - change.tokens, at: endpoint)
        }
        recountRuns(prompt.blocks, at: endpoint)
    }

    /// A sequence of the endpoint shares so much of its prompt that it had alone; less than nothing
    /// where it has again what it shared.
    private mutating func owns(_ ticket: Ticket, less tokens: Tokens, at endpoint: EndpointID) {
        guard var entry = entries[ticket], entry.stage == .forwarded(endpoint) else { return }
        entry.common += tokens
        entries.update(ticket) { $0.common = entry.common }
        endpoints[endpoint.index].common += tokens
        endpoints[endpoint.index].walk.update(entry.seat, to: entry.sequence)
        endpoints[endpoint.index].bounds.update(entry.seat, to: entry.longest)
    }
}

extension Entry {
    /// It would be at an endpoint that holds this of its prompt.
    mutating func share(_ held: Decider.Held) {
        common = held.tokens
        promoted = held.alone
    }
}
