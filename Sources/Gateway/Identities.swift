// SPDX-License-Identifier: Apache-2.0

import Identity
import Policy
import Synchronization
import Units

/// The public keys of all issuers as they are at present; replaced as a whole.
final class IssuerKeys: Sendable {
    struct KeySet: Sendable {
        let issuer: String
        let source: KeySetPolicy.Source
        let keys: [TokenKey]
    }

    /// Counts up with every change.
    let number: Int
    private let sets: [KeySet]

    init(number: Int, sets: [KeySet]) {
        self.number = number
        self.sets = sets
    }

    /// Empty where none have been read.
    func keys(of issuer: IssuerPolicy) -> [TokenKey] {
        sets.first { $0.issuer == issuer.issuer && $0.source == issuer.keys.source }?.keys ?? []
    }
}

/// What workers and the control thread share of issuers.
final class Identities: Sendable {
    private let current = Mutex(IssuerKeys(number: 0, sets: []))
    /// Of `current`, so that workers look without a lock.
    private let number = Atomic<Int>(0)
    /// One bit for each issuer of whom a token named a key that is not known.
    private let wanted = Atomic<UInt64>(0)

    func install(_ sets: [IssuerKeys.KeySet]) {
        let fresh = current.withLock { current in
            current = IssuerKeys(number: current.number + 1, sets: sets)
            return current.number
        }
        number.store(fresh, ordering: .releasing)
    }

    /// The present ones where they are others than `known`.
    func newer(than known: IssuerKeys?) -> IssuerKeys? {
        if let known, number.load(ordering: .acquiring) == known.number { return nil }
        return current.withLock { $0 }
    }

    func want(_ issuer: Int) { wanted.bitwiseOr(1 << UInt64(issuer), ordering: .relaxed) }

    /// Whose keys were wanted since this was asked last.
    func takeWanted() -> UInt64 {
        if wanted.load(ordering: .relaxed) == 0 { return 0 }
        return wanted.exchange(0, ordering: .relaxed)
    }
}

/// What became of a token.
enum TokenOutcome: Hashable, CaseIterable {
    /// Its signature was verified.
    case verified
    /// It had been before.
    case remembered
    case fault(TokenFault)
    /// It is longer than one may be.
    case tooLong
    /// It names nobody, or somebody whom its issuer may not name.
    case tenant

    static let allCases: [TokenOutcome] =
        [.verified, .remembered, .tooLong, .tenant] + TokenFault.allCases.map { .fault($0) }

    /// The label of the metrics.
    var name: String {
        switch self {
        case .verified: "verified"
        case .remembered: "remembered"
        case .tooLong: "too_long"
        case .tenant: "tenant"
        case .fault(let fault): fault.rawValue
        }
    }
}

/// Counts of one worker: its lock is never contended but by a scrape.
final class TokenCounts: Sendable {
    private let counts = Mutex([Int](repeating: 0, count: TokenOutcome.allCases.count))

    func count(_ outcome: TokenOutcome) {
        guard let place = TokenOutcome.allCases.firstIndex(of: outcome) else { return }
        counts.withLock { $0[place] += 1 }
    }

    /// In the order of `TokenOutcome.allCases`.
    var all: [Int] { counts.withLock { $0 } }
}
