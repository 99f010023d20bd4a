// SPDX-License-Identifier: Apache-2.0

import Decision
import DequeModule
import EventLoop
import Policy
import Transport
import Units
import Wire

/// Bodies that come packed by gzip.
///
/// A few bytes may unpack to megabytes, which takes milliseconds. So a body is unpacked once it is
/// here, in pieces: of all that are to be unpacked each turn takes what fits in a slice of time,
/// one piece of each after the other, after everything that streams has been passed on.
extension Worker {
    /// How a body is packed (RFC 9110 section 8.4).
    enum Packing {
        case none, gzip
        /// Another way, or more than one.
        case unknown
    }

    /// What unpacking may take of a turn; one piece more may go over it.
    private static let unpackingSlice = Duration.milliseconds(1)
    /// Unpacked at once; others wait. Each has 40 KiB beside what it writes.
    private static let unpackedAtOnce = 64

    static func packing(_ server: ServerStream) -> Packing {
        guard let value = unsafe server.value(.contentEncoding) else { return .none }
        guard server.count(.contentEncoding) == 1 else { return .unknown }
        switch unsafe String(decoding: value, as: UTF8.self).lowercased() {
        case "identity": return .none
        case "gzip", "x-gzip": return .gzip
        default: return .unknown
        }
    }

    /// The request is complete: its turn comes.
    func unpack(_ exchange: Exchange) { packedRow.append(exchange.id.key) }

    /// There is more to unpack: the next turn does not wait.
    var isUnpacking: Bool { !packedRow.isEmpty || !unpackingRow.isEmpty }

    /// Unpacks for a slice of time.
    func unpackSome() {
        guard isUnpacking else { return }
        let end = MonotonicClock.now() + Self.unpackingSlice
        repeat {
            while unpackingRow.count < Self.unpackedAtOnce, let key = packedRow.popFirst() {
                unpackingRow.append(key)
            }
            guard let key = unpackingRow.popFirst() else { return }
            // Its client may have left meanwhile.
            if let exchange = exchanges[key] { unpackPiece(exchange) }
        } while MonotonicClock.now() < end
    }

    private func unpackPiece(_ exchange: Exchange) {
        guard let server = exchange.server, exchange.state == .reading else { return }
        let limit = exchange.policy.http.maxBody.count
        let outcome = unsafe exchange.unpackPiece(
            server.body, limit: limit, ratio: exchange.policy.http.maxCompressionRatio)
        count(server, of: exchange)
        switch outcome {
        case .more:
            guard hasRoom(for: exchange) else {
                return refuseLate(
                    exchange, Refusal(.gatewayOverloaded, retryAfter: .seconds(1)))
            }
            unpackingRow.append(exchange.id.key)
        case .done:
            exchange.endUnpacking()
            read(server, exchange)
            // What it brought is answered, or what came behind it goes on.
            if let connection = servers[server.key] { pump(connection) }
        case .tooLarge:
            refuseLate(exchange, Refusal(.requestTooLarge, limit: Double(limit)))
        case .tooDense: refuseLate(exchange, Refusal(.bodyTooDense))
        case .damaged, .endsEarly:
            refuseLate(exchange, Refusal(.damagedEncoding))
        }
    }
}
