// SPDX-License-Identifier: Apache-2.0

import EventLoop
import Units

/// Finds a target's addresses before a replay begins.
enum ReplayResolving {
    private static let patience = Duration.seconds(10)

    /// Waits for the name service, ten seconds at most.
    static func addresses(
        of target: ReplayTarget
    ) throws(ReplayFault) -> [SocketAddress] {
        if let address = SocketAddress(ip: target.host, port: target.port) { return [address] }
        do throws(SystemFault) {
            if case .addresses(let found) = try ask(target) { return found }
        } catch {
            throw .system(error)
        }
        throw .unknownHost(target.host)
    }

    private static func ask(_ target: ReplayTarget) throws(SystemFault) -> ResolveOutcome? {
        let mailbox = try Mailbox<ResolveOutcome>(limit: 1)
        let poller = try Poller(batch: 1)
        try poller.add(mailbox.descriptor, .read, Token(kind: 0, key: SlabKey(raw: 0)))
        let resolver = try Resolver(limit: 1)
        defer { resolver.stop() }
        _ = resolver.resolve(target.host, port: target.port) { mailbox.post($0) }
        let deadline = MonotonicClock.now() + patience
        var answers: [ResolveOutcome] = []
        while answers.isEmpty, MonotonicClock.now() < deadline {
            _ = try poller.wait(until: deadline, now: MonotonicClock.now())
            mailbox.drain(into: &answers)
        }
        return answers.first
    }
}
