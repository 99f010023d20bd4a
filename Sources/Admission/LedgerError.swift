// SPDX-License-Identifier: Apache-2.0

public import Units

/// How far an account is from what the engine reports, and what follows from that.
///
/// What an engine holds beyond the account counts at once, as others' (`EndpointLedger.others`).
/// What it lacks does not: prompts may be shorter than estimated, or begin alike unknown to us, but
/// a reading may also be old, or sequences may have been pushed out and be on their way back. So it
/// is given back slowly: the average of what readings show to be missing, and never more than the
/// last one did, nor than a fifth of the capacity. As sequences leave it shrinks with what it was
/// found in; new ones get nothing until a reading has seen them. One of the two is always zero, and
/// after a reading no less is believed to be held than it showed.
///
/// An error of more than a tenth of the capacity for half a minute is worth a word: somebody else
/// sends traffic, or an estimate is broken.
public struct LedgerError: Sendable, Equatable {
    /// The most that is given back, as a share of the capacity.
    public static let mostGivenBack = 0.2
    /// Above this share of the capacity an error is worth a word.
    public static let alertAbove = 0.1
    /// When it has lasted for so long.
    public static let alertAfter = Duration.seconds(30)
    /// An engine that is so full may have pushed sequences out: what it lacks is no room.
    public static let full = 0.85
    /// Seconds in which the average follows by two thirds.
    private static let slow = 30.0
    /// The same of the error that is told.
    private static let told = 10.0

    /// Reported less accounted for, averaged, as a share of the capacity; above zero where others
    /// hold something. Nil before the first reading.
    public private(set) var share: Double?
    /// It has been large for long.
    public private(set) var isAlerting = false

    private var average = 0.0
    private var missing = 0.0
    private var account = 0.0
    /// What had left when that was seen.
    private var released = 0
    private var at: Instant?
    private var largeSince: Instant?

    init() {}

    /// A reading shows `missing` of an account of `account` tokens that should have been there, or
    /// `others` beyond it; `released` have left since the beginning.
    mutating func observe(
        missing: Tokens, of account: Tokens, others: Tokens, capacity: Tokens, released: Int,
        now: Instant
    ) {
        guard capacity > .zero else { return }
        let capacity = Double(capacity.count)
        let passed = at.map { max(0, (now - $0).seconds) }
        at = now
        self.missing = Double(missing.count)
        self.account = Double(account.count)
        self.released = released
        let limited = min(self.missing, Self.mostGivenBack * capacity)
        average += (limited - average) * Self.part(passed ?? 0, Self.slow)
        let error = Double((others - missing).count) / capacity
        share = share.map { $0 + (error - $0) * Self.part(passed ?? 0, Self.told) } ?? error
        guard let share, abs(share) > Self.alertAbove else {
            largeSince = nil
            isAlerting = false
            return
        }
        let since = largeSince ?? now
        largeSince = since
        isAlerting = now - since >= Self.alertAfter
    }

    /// Of the way to the latest, after so many seconds.
    private static func part(_ passed: Double, _ slowness: Double) -> Double {
        passed / (passed + slowness)
    }

    /// Tokens of the account that are not there, as far as that is trusted, when so many have been
    /// released since the beginning.
    func givenBack(released now: Int) -> Tokens {
        let most = min(average, missing)
        guard most >= 1, account > 0 else { return .zero }
        let left = Double(max(0, now - released))
        return Tokens(Int(most * max(0, 1 - left / account)))
    }
}
