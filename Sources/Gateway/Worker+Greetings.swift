// SPDX-License-Identifier: Apache-2.0

import DequeModule
import EventLoop
import Policy
import Synchronization
import Transport
import Units

/// Connections during their TLS handshake.
///
/// A step of a handshake may take a key's arithmetic, up to milliseconds of it. So none is taken
/// when the poller tells of it: they stand in a row, and of the row each turn takes what fits in a
/// slice of time, after everything that streams has been passed on.
extension Worker {
    /// What handshakes may take of a turn; one step more may go over it.
    private static let handshakeSlice = Duration.milliseconds(1)
    /// For handshakes that are under way when the gateway drains.
    static let lastHandshakes = Duration.seconds(1)

    /// A connection has come through a door of TLS.
    func greet(_ socket: consuming Socket, _ peer: SocketAddress, _ door: BoundDoor) {
        if greetings.count >= policy.http.maxHandshakes { displaceGreeting() }
        guard let key = greetings.nextKey else { return leave(peer) }
        do throws(SystemFault) {
            let greeting = try TLSGreeting(
                key: key, door: door.index, token: Token(kind: Kind.greeting, key: key),
                socket: socket, peer: peer, timeout: policy.http.handshakeTimeout, loop: loop)
            _ = greetings.insert(greeting)
            greetingOrder.append(key)
        } catch {
            leave(peer)
            shared.log.write("register connection: \(error)")
        }
    }

    /// There is no room: the one that has taken longest is the likeliest to be there to take it.
    private func displaceGreeting() {
        while let key = greetingOrder.popFirst() {
            guard let greeting = greetings[key] else { continue }
            end(greeting, .displaced)
            return
        }
    }

    func greetingReady(_ key: SlabKey) {
        guard let greeting = greetings[key], greeting.ready() else { return }
        greetingRow.append(key)
    }

    func greetingDue(_ key: SlabKey) {
        guard let greeting = greetings[key], greeting.timerFired() else { return }
        end(greeting, .timedOut)
    }

    /// Takes steps of handshakes for a slice of time. Where some are left the next turn does not
    /// wait.
    func shakeHands() {
        guard !greetingRow.isEmpty else { return }
        let end = MonotonicClock.now() + Self.handshakeSlice
        repeat {
            guard let key = greetingRow.popFirst() else { return }
            // Its time may have been over meanwhile.
            if let greeting = greetings[key] { step(greeting) }
        } while MonotonicClock.now() < end
    }

    private func step(_ greeting: TLSGreeting) {
        let outcome = greeting.step { shared.security.door(greeting.door) }
        switch outcome {
        case .waiting: return
        case .failed(let fault):
            end(greeting, fault == .plainHTTP ? .plainHTTP : .failed)
        case .done:
            remove(greeting)
            count(.done)
            let peer = greeting.peer
            guard let channel = greeting.takeChannel() else { return leave(peer) }
            open(channel, peer, bounds[greeting.door])
        }
    }

    private func end(_ greeting: TLSGreeting, _ outcome: HandshakeOutcome) {
        remove(greeting)
        leave(greeting.peer)
        count(outcome)
        greeting.close()
        wakeDoors()
    }

    private func remove(_ greeting: TLSGreeting) {
        greetings.remove(greeting.key)
        // Those that have ended leave their places behind, which are few while it is short.
        while let first = greetingOrder.first, greetings[first] == nil {
            greetingOrder.removeFirst()
        }
        if greetingOrder.count > 2 * greetings.count + 64 {
            greetingOrder.removeAll { greetings[$0] == nil }
        }
    }

    private func count(_ outcome: HandshakeOutcome) {
        shared.handshakes.count(outcome)
    }

    /// The end is near: handshakes have a second to come to theirs.
    func hurryGreetings() {
        let latest = loop.now + Self.lastHandshakes
        greetings.each { _, greeting in greeting.hurry(by: latest) }
        proxyGreetings.each { _, greeting in greeting.hurry(by: latest) }
    }

    func closeGreetings() {
        greetings.each { _, greeting in greeting.close() }
        proxyGreetings.each { _, greeting in greeting.close() }
    }
}

/// How a client's TLS handshake came out.
enum HandshakeOutcome: String, CaseIterable {
    case done, failed
    case timedOut = "timed_out"
    /// Another one needed its place.
    case displaced
    case plainHTTP = "plain_http"
}

/// Handshakes of all workers, counted by how they came out.
final class HandshakeCounts: Sendable {
    private let counts = Mutex([Int](repeating: 0, count: HandshakeOutcome.allCases.count))

    func count(_ outcome: HandshakeOutcome) {
        guard let place = HandshakeOutcome.allCases.firstIndex(of: outcome) else { return }
        counts.withLock { $0[place] += 1 }
    }

    /// In the order of `HandshakeOutcome.allCases`.
    var all: [Int] { counts.withLock { $0 } }
}
