// SPDX-License-Identifier: Apache-2.0

import EventLoop
import Policy
import Transport
import Units

/// Certificates and keys, read again while the gateway runs: connections that begin afterwards have
/// the new ones, those that stand keep theirs.
extension Control {
    /// How soon a file that changed is looked at.
    static let securityInterval = Duration.seconds(2)

    /// A configuration is in force with the files that it names, or not at all.
    func withSecurity(_ outcome: ReloadOutcome) -> ReloadOutcome {
        guard case .loaded(let fresh, _) = outcome else { return outcome }
        let unread = KeySetFiles.mistakes(fresh)
        guard unread.isEmpty else { return .rejected(unread.map(\.description)) }
        let stamps = stampSecurity(fresh)
        let mistakes = readSecurity(fresh)
        guard mistakes.isEmpty else { return .rejected(mistakes) }
        securityStamps = stamps
        return outcome
    }

    /// Reads the files again where one has changed. A file that is half written is found wrong, and
    /// read again when it changes once more.
    func watchSecurity() {
        let stamps = stampSecurity(policy)
        guard stamps != securityStamps else { return }
        securityStamps = stamps
        let mistakes = readSecurity(policy)
        if mistakes.isEmpty {
            shared.log.write("certificates: read again, since a file has changed")
        }
        for mistake in mistakes {
            shared.log.write("certificates: the old ones stay: \(mistake)")
        }
    }

    /// Warns of keys that are over, or soon will be: of each once.
    func noticeKeys() {
        for line in keyNotices.fresh(policy, at: loop.wall) { shared.log.write(line) }
    }

    private func readSecurity(_ policy: Policy) -> [String] {
        guard !securityFiles(policy).isEmpty || policy.endpoints.contains(where: \.isSecure) else {
            return []
        }
        let (material, mistakes) = SecurityMaterial.load(
            setup.fixed.listeners, policy, tickets: shared.security.tickets)
        guard mistakes.isEmpty else {
            securityReloads.failed += 1
            return mistakes.map(\.description)
        }
        securityReloads.succeeded += 1
        shared.security.install(material)
        for warning in material.warnings { shared.log.write("certificate: \(warning)") }
        return []
    }

    func stampSecurity(_ policy: Policy) -> [String: FileStamp?] {
        var stamps: [String: FileStamp?] = [:]
        for path in securityFiles(policy) { stamps[path] = .some(Files.stamp(path)) }
        return stamps
    }

    private func securityFiles(_ policy: Policy) -> [String] {
        let listeners = setup.fixed.listeners.compactMap(\.tls).flatMap { tls in
            tls.certificates.flatMap { [$0.certificate, $0.key] }
                + (tls.clientAuthority.map { [$0] } ?? [])
        }
        let pools = policy.pools.filter { !$0.removed }.compactMap(\.tls).flatMap { tls in
            [tls.authority, tls.identity?.certificate, tls.identity?.key].compactMap { $0 }
        }
        return listeners + pools
    }
}
