// SPDX-License-Identifier: Apache-2.0

import Admission
import BasicContainers
import Policy
import Routing
import Units

/// What a gateway tells of one endpoint, and what it asks for there.
///
/// What prompts begin with is told apart from their sequences, since another gateway's may begin
/// alike: an engine has it once. It is told in runs, each named by its last block. They end where
/// own prompts go on differently, and where others' do: whoever is told of a run whose last block
/// it has cuts its own there too, so that after an exchange or two all name the parts alike.
extension Decider {
    /// So far a prompt is compared with what others tell: 128 KiB of text.
    private static let reach = 256

    // MARK: what is told

    /// Brings up to date what the own sequences of the endpoint begin with.
    mutating func refreshRuns(_ endpoint: EndpointID) {
        let place = endpoint.index
        guard sharing?.isShared == true, sharing?.lines[place].hasNewRuns == true,
            let cuts = sharing?.cuts
        else { return }
        var runs: [HeldPrefixes.Run] = []
        held.beginRuns()
        for ticket in seats[place] {
            guard let entry = entries[ticket], entry.knownBlocks > 0, let key = entry.prefix,
                let prompt = prompts[key]
            else { continue }
            held.addRuns(
                prompt.blocks, known: entry.knownBlocks, on: endpoint, cuts: cuts, into: &runs)
        }
        for run in runs where run.holder == nil && !cuts.contains(run.key) {
            sharing?.cuts.insert(run.key)
        }
        if runs.count > CommonRun.most {
            runs.sort { ($0.tokens, $0.key) > ($1.tokens, $1.key) }
            runs.removeLast(runs.count - CommonRun.most)
        }
        sharing?.lines[place].runs = runs
        sharing?.lines[place].hasNewRuns = false
    }

    func account(of endpoint: EndpointID) -> EndpointAccount {
        let place = endpoint.index
        var account = EndpointAccount()
        account.cohorts = endpoints[place].walk.cohorts
        if tellsBounds(of: endpoints[place]) {
            account.bounds = endpoints[place].bounds.cohorts
        }
        account.common = endpoints[place].common
        account.prefilling = endpoints[place].ledger.prefilling
        account.committed = endpoints[place].committed
        account.turnover = endpoints[place].turnover
        account.left = endpoints[place].ledger.released
        account.prompts = endpoints[place].prompted
        guard let sharing, sharing.isShared else { return account }
        for run in sharing.lines[place].runs {
            if let told = tell(run, in: &account) { account.runs.append(told) }
        }
        return account
    }

    /// The run is told apart from those that hold it.
    private func tell(
        _ run: HeldPrefixes.Run, in account: inout EndpointAccount
    ) -> CommonRun? {
        guard let holder = run.holder else {
            let tokens = min(run.tokens, account.common.count)
            account.common -= Tokens(tokens)
            return CommonRun(key: run.key, tokens: tokens, place: CommonRun.everybodys)
        }
        guard let entry = entries[holder] else { return nil }
        let place = Cohorts.place(of: entry.sequence.rest)
        let tokens = account.cohorts.take(run.tokens, from: place)
        _ = account.bounds?.take(tokens, from: Cohorts.place(of: entry.longest.rest))
        return CommonRun(key: run.key, tokens: tokens, place: place)
    }

    /// Somebody may go by all bounds there, and the own ones alone would fit.
    private func tellsBounds(of state: borrowing EndpointState) -> Bool {
        guard let capacity = state.ledger.capacity, state.common + state.bounds.peak() <= capacity
        else { return false }
        let pool = state.pool
        return policy.classes.contains { $0.pool == pool && $0.boundedSlack > 0 }
    }

    // MARK: what is asked for

    mutating func want(
        _ entry: Entry, at endpoint: EndpointID, now: Instant
    ) -> SharedEndpoint.Want {
        var entry = sharing(entry, common(entry).held(on: endpoint))
        entry = clamped(entry, at: endpoint, now: now)
        let runs = runs(of: &entry, at: endpoint)
        let ledger = endpoints[endpoint.index].ledger
        let limits = policy.classes[entry.trafficClass.index]
        let share = entry.isHard ? limits.rejectAt.nextDown : limits.throttleAt
        let alone = EndpointLedger.aloneLimit
        let fits = ledger.canHold(entry.input + entry.rest, under: share)
        let (limit, beside) = fits ? (share, share) : (alone, 1 - alone)
        var want = SharedEndpoint.Want(
            entry.sequence, limit: room(at: endpoint, under: limit, now: now),
            beside: room(at: endpoint, under: beside, now: now))
        want.longest = entry.longest
        want.runs = runs
        if limits.boundedSlack > 0, ledger.isFreeOfOthers {
            let most = limits.throttleAt + limits.boundedSlack
            // What nobody can exceed counts in full.
            want.most = max(.zero, room(at: endpoint, under: most, now: now) - ledger.givenBack)
        }
        return want
    }

    /// The runs that somebody holds at the endpoint and the request would too. What is in them, and
    /// what several own sequences hold, is in the request's `common` afterwards.
    private mutating func runs(
        of entry: inout Entry, at endpoint: EndpointID
    ) -> [CommonRun] {
        guard let key = entry.prefix, let prompt = prompts[key] else {
            entry.common = .zero
            return []
        }
        let own = held.shared(prompt.blocks, of: entry.input, on: endpoint)
        // Else it is only too short to hold more of what is there.
        if own.blocks < prompt.blocks.count,
            held.block(prompt.blocks[own.blocks], on: endpoint) == nil
        {
            cut(prompt, after: own.blocks, at: endpoint)
        }
        refreshRuns(endpoint)
        var (runs, common, open): ([CommonRun], Int, Int) = ([], 0, 0)
        let perBlock = perBlock(prompt, of: entry.input)
        for (place, name) in prompt.blocks.prefix(max(Self.reach, own.blocks)).enumerated() {
            let block = place < own.blocks ? held.block(name, on: endpoint) : nil
            let tokens = block?.tokens ?? perBlock
            if let block, block.holders > 1 {
                common += tokens
                continue
            }
            open += tokens
            guard runs.count < CommonRun.mostWanted,
                let run = run(PrefixHash.short(name), at: endpoint)
            else { continue }
            common += min(open, run.tokens)
            open = 0
            runs.append(run)
        }
        entry.common = min(Tokens(common), entry.input)
        return runs
    }

    /// The run of this name that one own sequence or others hold.
    private func run(_ key: UInt64, at endpoint: EndpointID) -> CommonRun? {
        let own = sharing?.lines[endpoint.index].runs.first { $0.key == key }
        if let own {
            return CommonRun(key: key, tokens: own.tokens, place: CommonRun.everybodys)
        }
        return endpoints[endpoint.index].shared?.sum.run(key)
    }

    func perBlock(_ prompt: PromptPrefix, of input: Tokens) -> Int {
        input.count * PrefixMeter.blockBytes / max(prompt.textBytes, 1)
    }

    // MARK: what others hold

    /// Tokens of the prompt behind its first `blocks` that others tell to hold at the endpoint, and
    /// those of them that one sequence has alone.
    func heldElsewhere(
        _ prompt: PromptPrefix, of input: Tokens, behind blocks: Int, at endpoint: EndpointID
    ) -> (tokens: Tokens, alone: Tokens) {
        guard let sum = endpoints[endpoint.index].shared?.sum, sum.hasRuns else {
            return (.zero, .zero)
        }
        var (tokens, alone, open) = (0, 0, 0)
        let perBlock = perBlock(prompt, of: input)
        for name in prompt.blocks.prefix(Self.reach).dropFirst(blocks) {
            open += perBlock
            guard let run = sum.run(PrefixHash.short(name)) else { continue }
            let held = min(open, run.tokens)
            open = 0
            tokens += held
            if run.place < CommonRun.everybodys { alone += held }
        }
        return (Tokens(tokens), Tokens(alone))
    }

    /// The others have told of the endpoint. The prompt tokens that they have sent since.
    mutating func meet(_ peers: [SharedEndpoint.Peer], at endpoint: EndpointID) -> Tokens {
        let place = endpoint.index
        let held = held
        let holds = { (key: UInt64) in held.block(key, on: endpoint) != nil }
        for peer in peers {
            for run in peer.account.runs where holds(run.key) {
                // No copy of it is held: it is changed in place.
                if sharing?.cuts.insert(run.key) == true { sharing?.lines[place].hasNewRuns = true }
            }
        }
        return endpoints[place].shared?.update(peers, holds) ?? .zero
    }

    /// Prompts that begin like this one may go on differently after so many blocks.
    mutating func cut(_ prompt: PromptPrefix, after blocks: Int, at endpoint: EndpointID) {
        guard sharing?.isShared == true, (1..<max(prompt.blocks.count, 1)).contains(blocks) else {
            return
        }
        let key = PrefixHash.short(prompt.blocks[blocks - 1])
        if sharing?.cuts.insert(key) == true {
            sharing?.lines[endpoint.index].hasNewRuns = true
        }
    }

    /// A sequence with these blocks has come to the endpoint or has left it.
    mutating func recountRuns(_ blocks: [UInt64], at endpoint: EndpointID) {
        let place = endpoint.index
        guard sharing.map({ place < $0.lines.count }) ?? false else { return }
        sharing?.lines[place].hasNewRuns = true
        guard endpoints[place].shared?.sum.hasRuns == true else { return }
        for name in blocks {
            let key = PrefixHash.short(name)
            guard endpoints[place].shared?.sum.run(key) != nil else { continue }
            endpoints[place].shared?.owns(key, held.block(key, on: endpoint) != nil)
        }
    }
}
