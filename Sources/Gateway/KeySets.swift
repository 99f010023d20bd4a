// SPDX-License-Identifier: Apache-2.0

import EventLoop
import Identity
import Policy
import Transport
import Units

/// What the control thread knows of one issuer's keys.
struct KeySetState {
    /// Of a fetch, so that an answer finds it over reloads.
    let number: Int
    let issuer: IssuerPolicy
    var keys: [TokenKey] = []
    /// As they were read, so that what is the same is not read anew.
    var bytes: [UInt8] = []
    /// When they were last found to be so; nil: never.
    var readAt: Instant?
    var triedAt: Instant?
    var nextAt = Instant(nanoseconds: 0)
    var fetch: KeySetFetch?
    /// As the file was when it was read last.
    var stamp: FileStamp?
    var fault: String?
    var outcomes = (succeeded: 0, failed: 0)

    init(_ issuer: IssuerPolicy, number: Int) {
        self.issuer = issuer
        self.number = number
    }

    var isFetched: Bool {
        if case .web = issuer.keys.source { true } else { false }
    }

    /// The keys that verify what this issuer may sign by; nil where there is none.
    static func usable(_ bytes: [UInt8], of issuer: IssuerPolicy) -> [TokenKey]? {
        let algorithms = issuer.algorithms.map(\.rawValue)
        let all = unsafe TokenKey.set(bytes.span.bytes) ?? []
        let keys = all.filter { algorithms.contains($0.algorithm.rawValue) }
        return keys.isEmpty ? nil : keys
    }

    /// Bytes of a set; a longer one is not read.
    static let limit = 512 << 10
    static let noKeys = "has no key set with a key for the issuer's algorithms"
}

/// A fetch under way.
struct KeySetFetch {
    let deadline: Instant
    /// Nil while the name is being resolved.
    var client: SlabKey?
    var body: [UInt8] = []
}

/// Why an issuer's file of keys cannot be used, by the key of the configuration.
enum KeySetFiles {
    /// Reads those of `policy`, which blocks.
    static func mistakes(_ policy: Policy) -> [SecurityMistake] {
        policy.identity.issuers.compactMap { issuer in
            guard case .file(let path) = issuer.keys.source else {
                return authorityMistake(issuer)
            }
            do throws(FileFault) {
                let bytes = try Files.readFile(path, limit: KeySetState.limit)
                guard KeySetState.usable(bytes, of: issuer) == nil else { return nil }
                return SecurityMistake(issuer.keys.place, "\(path) \(KeySetState.noKeys)")
            } catch {
                return SecurityMistake(issuer.keys.place, "\(path): \(error)")
            }
        }
    }

    /// Of a URL the certificates are looked at, and nothing is fetched.
    private static func authorityMistake(_ issuer: IssuerPolicy) -> SecurityMistake? {
        guard let authority = issuer.keys.authority else { return nil }
        do throws(TLSFault) {
            _ = try TLSClientContext(TLSClientSetup(authority: authority))
            return nil
        } catch {
            return SecurityMistake(
                String(issuer.keys.place.dropLast("jwks".count)) + "ca", "\(error)")
        }
    }
}
