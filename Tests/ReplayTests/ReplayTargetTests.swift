// SPDX-License-Identifier: Apache-2.0

import Replay
import Testing

@Suite struct ReplayTargetTests {
    @Test(arguments: [
        ("http://10.0.0.1:8000", "10.0.0.1", 8000, "10.0.0.1:8000", ""),
        ("http://gateway.example", "gateway.example", 80, "gateway.example", ""),
        ("http://gateway/", "gateway", 80, "gateway", ""),
        ("http://gateway:8080/v1", "gateway", 8080, "gateway:8080", ""),
        ("http://gateway:8080/llm/v1/", "gateway", 8080, "gateway:8080", "/llm"),
        ("http://[::1]:8000/a", "::1", 8000, "[::1]:8000", "/a"),
        ("http://[::1]", "::1", 80, "[::1]", ""),
    ])
    func addressesAreRead(
        url: String, host: String, port: Int, authority: String, base: String
    ) throws {
        let target = try #require(ReplayTarget(url: url))
        #expect(target.host == host)
        #expect(Int(target.port) == port)
        #expect(target.authority == authority)
        #expect(target.base == base)
    }

    @Test(arguments: [
        "", "gateway:8080", "https://gateway", "http://", "http://:80", "http://host:0",
        "http://host:65536", "http://host:x", "http://[::1", "http://[::1]x", "http://a b",
        "http://host/\r\nX: y", "http://host/?q", "http://user@host", "http://host:80:80",
    ])
    func everythingElseIsNoTarget(url: String) { #expect(ReplayTarget(url: url) == nil) }
}
