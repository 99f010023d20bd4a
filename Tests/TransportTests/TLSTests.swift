// SPDX-License-Identifier: Apache-2.0

import EventLoop
import TestSupport
import Testing
import Transport
import TransportSupport
import Units
import Wire

/// HTTP/1.1 over TLS, both sides of it on one loop.
@Suite
struct TLSTests {
    private let folder = TemporaryDirectory()

    private func server(
        _ wish: TestAuthority.Wish = TestAuthority.Wish("localhost", "DNS:localhost,IP:127.0.0.1"),
        clients: TLSServerSetup.ClientCertificates = .none,
        protocols: [ApplicationProtocol] = [.http1]
    ) throws -> TLSServerContext {
        let authority = TestAuthority(in: folder.path)
        let paths = authority.issue("server", wish)
        authority.issue("client", TestAuthority.Wish("client", "DNS:client.example"))
        var setup = TLSServerSetup(
            identities: [TLSIdentity(certificate: paths.certificate, key: paths.key)],
            protocols: protocols)
        setup.clients = clients
        return try TLSServerContext(setup, tickets: TicketKeys())
    }

    private func security(
        name: String = "localhost", authority: String = "ca", identity: String? = nil
    ) throws -> ClientSecurity {
        var setup = TLSClientSetup(authority: folder.file("\(authority).pem"))
        setup.identity = identity.map {
            TLSIdentity(certificate: folder.file("\($0).pem"), key: folder.file("\($0).key"))
        }
        return .tls(try TLSClientContext(setup), name: name)
    }

    private func ask(
        _ rig: Rig, _ client: HTTP1ClientConnection, body: [UInt8] = []
    ) {
        client.ask(.post, "/x", body: body)
        rig.pump(client)
    }

    @Test(arguments: ["localhost", "127.0.0.1"])
    func aServerProvesItsName(name: String) throws {
        let rig = try Rig(security: try server())
        let client = try rig.dial(rig.address, security: try security(name: name))
        ask(rig, client)
        #expect(rig.run { rig.heard(client).last == .end })
        #expect(rig.heard(client) == [.head(200), .payload("ok"), .end])
        #expect(client.isReusable)
        ask(rig, client)
        #expect(rig.run { rig.heard(client).count == 6 })
    }

    @Test
    func aServerOfAnotherNameIsNotTalkedTo() throws {
        let rig = try Rig(security: try server())
        let client = try rig.dial(rig.address, security: try security(name: "other"))
        ask(rig, client, body: Array("secret".utf8))
        #expect(rig.run { !rig.heard(client).isEmpty })
        guard case .fault(.tls(.certificate))? = rig.heard(client).last else {
            Issue.record("\(rig.heard(client))")
            return
        }
        rig.settle()
        #expect(rig.told.isEmpty)
        #expect(rig.run { rig.openHandshakes == 0 })
    }

    @Test
    func aServerOfAnotherAuthorityIsNotTalkedTo() throws {
        let rig = try Rig(security: try server())
        _ = TestAuthority(in: folder.path, name: "strangers")
        let client = try rig.dial(rig.address, security: try security(authority: "strangers"))
        ask(rig, client)
        #expect(rig.run { !rig.heard(client).isEmpty })
        guard case .fault(.tls(.certificate))? = rig.heard(client).last else {
            Issue.record("\(rig.heard(client))")
            return
        }
    }

    @Test
    func anExpiredCertificateIsNotTalkedTo() throws {
        var wish = TestAuthority.Wish("localhost", "DNS:localhost")
        wish.starts = -7_200
        wish.ends = -3_600
        let context = try server(wish)
        #expect(context.holders[0].left < .zero)
        let rig = try Rig(security: context)
        let client = try rig.dial(rig.address, security: try security())
        ask(rig, client)
        #expect(rig.run { !rig.heard(client).isEmpty })
        guard case .fault(.tls(.certificate))? = rig.heard(client).last else {
            Issue.record("\(rig.heard(client))")
            return
        }
    }

    /// More than a record and more than the room for a head: what TLS holds is not forgotten.
    @Test(arguments: [1, 100, 4_095, 4_097, 16_384, 16_385, 70_000, 300_000])
    func bodiesOfAllSizesComeWhole(size: Int) throws {
        var owner = Owner()
        owner.request = { $0.answer($0.bodyText) }
        let rig = try Rig(owner: owner, security: try server())
        let client = try rig.dial(rig.address, security: try security())
        let body = (0..<size).map { UInt8(0x61 + $0 % 23) }
        ask(rig, client, body: body)
        #expect(rig.run { rig.heard(client).last == .end })
        let isWhole =
            rig.heard(client) == [
                .head(200), .payload(String(decoding: body, as: UTF8.self)), .end,
            ]
        #expect(isWhole)
    }

    /// A paused reader's TLS holds bytes of which the poller does not tell.
    @Test
    func aPausedAnswerGoesOn() throws {
        var owner = Owner()
        let text = String(repeating: "0123456789", count: 200_000)
        owner.request = { $0.answer(text) }
        owner.heard = { client, heard in
            if case .payload = heard { client.pauseReading() }
        }
        let rig = try Rig(owner: owner, writing: .atTurnsEnd, security: try server())
        let client = try rig.dial(rig.address, security: try security())
        ask(rig, client)
        #expect(
            rig.run {
                client.resumeReading()
                return rig.heard(client).last == .end
            })
        let isWhole = rig.heard(client) == [.head(200), .payload(text), .end]
        #expect(isWhole)
    }

    @Test
    func aClientShowsWhoItIs() throws {
        let context = try server(clients: .required(authority: folder.file("ca.pem")))
        let rig = try Rig(security: context)
        let client = try rig.dial(rig.address, security: try security(identity: "client"))
        ask(rig, client)
        #expect(rig.run { rig.heard(client).last == .end })
        #expect(rig.server?.peer?.names == ["client.example"])
    }

    @Test
    func aClientWithoutACertificateIsRefused() throws {
        let context = try server(clients: .required(authority: folder.file("ca.pem")))
        let rig = try Rig(security: context)
        let client = try rig.dial(rig.address, security: try security())
        ask(rig, client)
        #expect(rig.run { !rig.handshakeFaults.isEmpty })
        #expect(rig.told.isEmpty)
    }

    @Test
    func aClientOfAnotherAuthorityIsRefused() throws {
        let context = try server(clients: .optional(authority: folder.file("ca.pem")))
        TestAuthority(in: folder.path, name: "strangers").issue(
            "stranger", TestAuthority.Wish("client", "DNS:client.example"))
        let rig = try Rig(security: context)
        let client = try rig.dial(rig.address, security: try security(identity: "stranger"))
        ask(rig, client)
        #expect(rig.run { !rig.handshakeFaults.isEmpty })
        #expect(rig.told.isEmpty)
        let anonymous = try rig.dial(rig.address, security: try security())
        ask(rig, anonymous)
        #expect(rig.run { rig.heard(anonymous).last == .end })
        #expect(rig.server?.peer?.names == [])
    }

    @Test
    func plainHTTPGetsAnAnswerInClear() throws {
        let rig = try Rig(security: try server())
        let peer = try rig.dialRaw()
        peer.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        #expect(rig.run { peer.isOver })
        #expect(rig.handshakeFaults == [.plainHTTP])
        let (replies, rest) = Reply.all(in: peer.bytes)
        #expect(replies.map(\.status) == [400])
        #expect(rest.isEmpty)
    }

    @Test(arguments: [
        "", "\u{16}\u{3}\u{1}\u{2}", "garbage that is no record at all, and long enough for one",
    ])
    func garbageAndSilenceEnd(text: String) throws {
        let rig = try Rig(security: try server(), greetingTimeout: .milliseconds(50))
        let peer = try rig.dialRaw()
        peer.send(text)
        #expect(rig.run { peer.isOver && rig.openHandshakes == 0 })
        #expect(rig.told.isEmpty)
    }

    @Test
    func idleConnectionsHoldNothingOfOurs() throws {
        let rig = try Rig(security: try server())
        let client = try rig.dial(rig.address, security: try security())
        ask(rig, client, body: Array(repeating: 0x61, count: 100_000))
        #expect(rig.run { rig.heard(client).last == .end })
        #expect(rig.heldBytes == 0)
    }

    @Test
    func aCutStreamDoesNotLookComplete() throws {
        var owner = Owner()
        owner.request = { server in
            server.respond(status: 200, fields: ByteBuffer(), length: .unknown)
            server.write("part")
            server.flush()
            server.abort()
        }
        let rig = try Rig(owner: owner, security: try server())
        let client = try rig.dial(rig.address, security: try security())
        ask(rig, client)
        #expect(rig.run { rig.heard(client).count == 3 })
        guard case .fault? = rig.heard(client).last else {
            Issue.record("\(rig.heard(client))")
            return
        }
    }
}
