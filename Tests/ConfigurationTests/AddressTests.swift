// SPDX-License-Identifier: Apache-2.0

import Configuration
import EventLoop
import Policy
import Testing
import Units

@Suite struct AddressTests {
    private func listening(on text: String) -> Document {
        Document(
            text: Document().text.replacing(
                "address: 127.0.0.1:0", with: "address: \"\(text)\""))
    }

    @Test(arguments: [
        ("0.0.0.0:8080", Address.ip(host: "0.0.0.0", port: 8_080)),
        ("127.0.0.1:0", .ip(host: "127.0.0.1", port: 0)),
        ("255.255.255.255:65535", .ip(host: "255.255.255.255", port: 65_535)),
        ("[::]:8080", .ip(host: "::", port: 8_080)),
        ("[0:0:0:0:0:0:0:1]:1", .ip(host: "::1", port: 1)),
        ("[FE80::0A]:1", .ip(host: "fe80::a", port: 1)),
        ("[::ffff:1.2.3.4]:1", .ip(host: "::ffff:1.2.3.4", port: 1)),
        ("unix:/run/penstock.sock", .unix(path: "/run/penstock.sock")),
        ("unix:/x y", .unix(path: "/x y")),
        (
            "unix:/" + String(repeating: "x", count: 106),
            .unix(path: "/" + String(repeating: "x", count: 106))
        ),
    ])
    func aListenerHasALiteralAddress(text: String, expected: Address) throws {
        #expect(try listening(on: text).load().fixed.listeners.map(\.address) == [expected])
    }

    @Test(arguments: [
        "8080", ":8080", "*:8080", "localhost:8080", "0.0.0.0", "0.0.0.0:", "0.0.0.0:65536",
        "0.0.0.0:-1", "0.0.0.0:08", "0.0.0.0:1_0", "0.0.0.0:0x10", "0.0.0:80", "1.2.3.4.5:80",
        "256.0.0.1:80", "01.2.3.4:80", "::1:80", "[::1]", "[::1]80", "[::1:80", "[]:80",
        "[fe80::1%eth0]:80", "[1.2.3.4]:80", "[g::]:80", "http://0.0.0.0:80", "0.0.0.0 :80",
        "unix:", "unix:relative.sock", "unix:/", "unix:/" + String(repeating: "x", count: 107),
    ])
    func whatIsNoneIsAMistake(text: String) {
        let mistakes = listening(on: text).mistakes()
        #expect(mistakes.count == 1)
        #expect(mistakes.first?.hasPrefix("3:14: listeners[0].address: expected ") == true)
    }

    private func trusting(_ text: String) -> Document {
        Document(text: Document().text + "\nhttp: {trusted_proxies: [\"\(text)\"]}\n")
    }

    /// The first two are within it, the third is not.
    @Test(arguments: [
        ("10.0.0.0/8", ["10.0.0.0", "10.255.255.255"], "11.0.0.0"),
        ("192.0.2.1", ["192.0.2.1", "::ffff:192.0.2.1"], "192.0.2.2"),
        ("192.0.2.0/31", ["192.0.2.0", "192.0.2.1"], "192.0.2.2"),
        ("0.0.0.0/0", ["0.0.0.0", "255.255.255.255"], "::1"),
        ("::/0", ["::", "ffff::1"], "127.0.0.1"),
        ("2001:db8::/32", ["2001:db8::", "2001:db8:ffff::1"], "2001:db9::"),
        ("2001:db8::/64", ["2001:db8::", "2001:db8::ffff:0:0:1"], "2001:db8:0:1::"),
        ("fd00::1/128", ["fd00::1", "fd00:0::1"], "fd00::2"),
        ("::1", ["::1", "0::1"], "::2"),
    ])
    func aRangeHoldsWhatBeginsLikeIt(text: String, within: [String], beyond: String) throws {
        let ranges = try trusting(text).load().policy.http.trustedProxies
        let range = try #require(ranges.first)
        #expect(ranges.count == 1)
        for literal in within { #expect(contains(range, literal), "\(literal)") }
        #expect(!contains(range, beyond))
    }

    private func contains(_ range: AddressRange, _ literal: String) -> Bool {
        guard let (high, low) = SocketAddress(ip: literal, port: 0)?.numeric else { return false }
        return range.contains(high: high, low: low)
    }

    @Test(arguments: [
        "", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/", "10.0.0.0/8/8", "10.0.0.1/8", "10.0.0/8",
        "10.0.0.0/0_8", "10.0.0.0/08", "::/129", "2001:db8::1/64", "[::1]", "::1%lo", "localhost",
        "10.0.0.0:80", "unix:/run/x", "10.0.0.0 /8",
    ])
    func whatIsNoRangeIsAMistake(text: String) {
        let mistakes = trusting(text).mistakes()
        #expect(mistakes.count == 1)
        #expect(mistakes.first?.contains("http.trusted_proxies[0]: ") == true, "\(mistakes)")
    }

    @Test(arguments: [
        ("http://10.0.0.11:8000", "10.0.0.11:8000", Address.ip(host: "10.0.0.11", port: 8_000)),
        ("http://10.0.0.11", "10.0.0.11:80", .ip(host: "10.0.0.11", port: 80)),
        ("http://10.0.0.11:8000/", "10.0.0.11:8000", .ip(host: "10.0.0.11", port: 8_000)),
        (
            "HTTP://Engine-1.LLM.svc:80", "engine-1.llm.svc:80",
            .name(host: "engine-1.llm.svc", port: 80)
        ),
        ("http://[::1]:8000", "[::1]:8000", .ip(host: "::1", port: 8_000)),
        ("http://under_score", "under_score:80", .name(host: "under_score", port: 80)),
    ])
    func anEngineHasAURL(text: String, authority: String, address: Address) throws {
        let loaded = try engine(text).load()
        #expect(loaded.policy.endpoints.map(\.authority) == [authority])
        #expect(loaded.policy.endpoints.map(\.address) == [address])
    }

    @Test(arguments: [
        "10.0.0.11:8000", "http://", "http:///", "http://host:0", "http://host:70000",
        "http://host/v1", "http://host//", "http://host?x=1", "http://host#x", "http://host:",
        "http://-host", "http://ho st", "http://1.2.3", "http://a..b", "http://[::1",
        "http://host:80:80", "ftp://host", "http://" + String(repeating: "a.", count: 130) + "b",
    ])
    func whatIsNoURLIsAMistake(text: String) {
        let mistakes = engine(text).mistakes()
        #expect(mistakes.count == 1)
        #expect(mistakes.first?.hasPrefix("12:17: pools[0].endpoints[0]: expected ") == true)
    }

    @Test(arguments: [
        ("https://host", "host:443"), ("HTTPS://host:8443/", "host:8443"),
        ("https://[::1]", "[::1]:443"),
    ])
    func anEngineMayBeBehindTLS(text: String, authority: String) throws {
        let loaded = try engine(text).load()
        #expect(loaded.policy.endpoints.map(\.authority) == [authority])
        #expect(loaded.policy.endpoints.map(\.isSecure) == [true])
        #expect(loaded.effective.contains("https://\(authority)"))
        let plain = try engine("http://host").load()
        #expect(plain.policy.endpoints.map(\.isSecure) == [false])
    }

    @Test func aPasswordInAURLIsNotRepeated() {
        let mistakes = engine("http://user:hunter2@host").mistakes()
        #expect(mistakes.count == 1)
        #expect(mistakes.first?.contains("hunter2") == false)
    }

    @Test(arguments: [
        ("redis.internal:6379", Address.name(host: "redis.internal", port: 6_379)),
        ("127.0.0.1:6379", .ip(host: "127.0.0.1", port: 6_379)),
        ("[::1]:6379", .ip(host: "::1", port: 6_379)),
        ("unix:/run/redis.sock", .unix(path: "/run/redis.sock")),
    ])
    func aServerHasAnAddress(text: String, expected: Address) throws {
        let loaded = try server(text).load()
        guard case .redis(let redis) = loaded.fixed.store else {
            Issue.record("not redis")
            return
        }
        #expect(redis.addresses == [expected])
    }

    @Test(arguments: ["redis", "redis:0", "redis://host:6379", "user:hunter2@host:6379", "1.2:1"])
    func whatIsNoServersAddressIsAMistake(text: String) {
        let mistakes = server(text).mistakes()
        #expect(mistakes.count == 1)
        #expect(mistakes.first?.contains("expected an address such as 10.0.0.1:6379") == true)
        #expect(mistakes.first?.contains("hunter2") == false)
    }

    private func engine(_ text: String) -> Document {
        Document(
            text: Document().text.replacing("http://127.0.0.1:8000", with: "\"\(text)\""))
    }
    private func server(_ text: String) -> Document {
        Document().with(.top, "store: {kind: redis, redis: {addresses: [\"\(text)\"]}}")
    }
}
