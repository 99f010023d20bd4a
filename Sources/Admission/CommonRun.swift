// SPDX-License-Identifier: Apache-2.0

public import Units

/// A stretch of the prompts that sequences of one gateway hold, from where the one before it ends
/// to the block that names it. Gateways that hold it too name it alike: an engine has it once.
public struct CommonRun: Sendable, Equatable {
    /// Told of an endpoint at most, the longest; what is in no other belongs to its sequences.
    public static let most = 64
    /// Of one prompt that wants room.
    public static let mostWanted = 16
    /// The place of one that stays whoever ends.
    public static let everybodys = Cohorts.count

    /// Of the name of its last block, which speaks of all before it: 52 bits, since numbers of the
    /// store's script are exact up to 2^53.
    public var key: UInt64
    public var tokens: Int
    /// Where one sequence alone holds it, the cohort of that one: it leaves with it.
    public var place: Int

    public init(key: UInt64, tokens: Int, place: Int) {
        self.key = key
        self.tokens = tokens
        self.place = place
    }
}

/// What several gateways hold at an endpoint together: everything added up, and what they begin
/// alike counted once.
///
/// Of one run whose holders cut it differently more is counted than there is, never less: each part
/// that somebody names counts as the longest of that name.
public struct EndpointSum: Sendable {
    private struct Member: Sendable {
        var run: CommonRun
        /// Counted elsewhere, by whoever asks.
        var isOmitted = false
    }

    /// All sequences; what one alone begins with is with it.
    public private(set) var cohorts = Cohorts()
    /// All sequences as they are at their bounds, without `runs`; nil where somebody tells not.
    public private(set) var bounds: Cohorts? = Cohorts()
    /// For which somebody may let in more without asking.
    public private(set) var kept = Tokens.zero
    /// What stays whoever ends.
    public private(set) var fixed = Tokens.zero
    /// What is with the sequences that alone begin with it.
    public private(set) var alone = Tokens.zero
    public private(set) var committed = Tokens.zero
    public private(set) var turnover = 0
    private var runs: [UInt64: Member] = [:]

    /// Nobody is there.
    public init() {}

    /// Nobody has anything there.
    public var isEmpty: Bool { cohorts.isEmpty && kept == .zero && fixed == .zero }
    /// Somebody's prompt begins with something that another one's may begin with.
    public var hasRuns: Bool { !runs.isEmpty }
    /// Tokens that all of them hold.
    public var held: Tokens { cohorts.held + fixed }

    // MARK: who is there

    /// One gateway more.
    public mutating func add(_ account: EndpointAccount) {
        cohorts.add(account.cohorts)
        if let more = account.bounds { bounds?.add(more) } else { bounds = nil }
        kept += account.slack
        fixed += account.common
        committed += account.committed
        turnover += account.turnover
        for run in account.runs { add(run) }
    }

    /// A request more, with what it begins with.
    mutating func add(_ want: SharedEndpoint.Want) {
        cohorts.add(want.sequence)
        bounds?.add(Cohorts.Cohort(want.longest), at: Cohorts.place(of: want.longest.rest))
        let place = Cohorts.place(of: want.sequence.rest)
        for run in want.runs {
            add(CommonRun(key: run.key, tokens: run.tokens, place: place))
        }
    }

    private mutating func add(_ run: CommonRun) {
        guard var member = runs[run.key] else {
            runs[run.key] = Member(run: run)
            return count(run, 1)
        }
        if !member.isOmitted { count(member.run, -1) }
        member.run.tokens = max(member.run.tokens, run.tokens)
        member.run.place = CommonRun.everybodys
        if !member.isOmitted { count(member.run, 1) }
        runs[run.key] = member
    }

    private mutating func count(_ run: CommonRun, _ sign: Int) {
        if run.place < Cohorts.count {
            cohorts.hold(sign * run.tokens, at: run.place)
            alone += Tokens(sign * run.tokens)
        } else {
            fixed += Tokens(sign * run.tokens)
        }
    }

    // MARK: what whoever asks holds too

    /// The run of this name; nil where nobody has it.
    public func run(_ key: UInt64) -> CommonRun? { runs[key]?.run }

    /// The run of this name counts no more, since it is counted elsewhere; or counts again.
    public mutating func omit(_ key: UInt64, _ isOmitted: Bool) {
        guard var member = runs[key], member.isOmitted != isOmitted else { return }
        member.isOmitted = isOmitted
        count(member.run, isOmitted ? -1 : 1)
        runs[key] = member
    }

    /// The run of this name is one, and counts here.
    public func counts(_ key: UInt64) -> Bool { runs[key].map { !$0.isOmitted } ?? false }

    // MARK: what they will hold

    /// At the worst foreseeable moment.
    public var projection: Tokens { cohorts.projection() + fixed + kept }

    /// The most that they can ever hold; nil where that is not known.
    var bounded: Tokens? {
        guard let bounds, kept == .zero else { return nil }
        return bounds.peak() + fixed + alone
    }
}
