// SPDX-License-Identifier: Apache-2.0

import Engine
import EventLoop
import Glibc
import Simulation
import TestSupport
import Testing
import Units

/// A simulated engine on a free port, stopped with the test.
final class EngineBench {
    let port: UInt16
    private let server: EngineServer

    /// A small engine fifty times faster than life, unless `change` says otherwise.
    init(_ change: (inout EngineSetup) -> Void = { _ in }) throws {
        let address = try #require(SocketAddress(ip: "127.0.0.1", port: 0))
        let profile = try #require(EngineProfile.named("small"))
        var setup = EngineSetup(address: address, profile: profile)
        setup.model = "tiny"
        setup.speed = 50
        setup.contextLength = Tokens(2_048)
        change(&setup)
        server = try EngineServer.start([setup])
        port = try #require(server.addresses.first?.port)
    }

    deinit { server.stop() }

    func wait() { server.wait() }

    func caller() throws -> HTTPCaller { try HTTPCaller(port: port) }

    func post(_ path: String, _ body: String) throws -> HTTPCaller.Answer {
        try caller().call("POST", path, body: body)
    }

    func chat(_ members: String, content: String = "one two three") throws -> HTTPCaller.Answer {
        try post("/v1/chat/completions", Self.body(members, content: content))
    }

    /// The events of a chat's stream.
    func stream(_ members: String) throws -> [JSONValue] {
        let caller = try caller()
        try caller.send(
            "POST", "/v1/chat/completions", body: Self.body(members + ",\"stream\":true"))
        let head = try caller.head()
        #expect(head.status == 200)
        #expect(head.value("content-type") == "text/event-stream; charset=utf-8")
        let events = try caller.events()
        #expect(events.last == "[DONE]")
        return try events.dropLast().map { try #require(JSONValue($0)) }
    }

    static func body(_ members: String, content: String = "one two three") -> String {
        "{\"model\":\"tiny\",\"messages\":[{\"role\":\"user\",\"content\":\"\(content)\"}],"
            + members + "}"
    }

    /// The value of a series, summed over its labels.
    func metric(_ name: String) throws -> Double {
        let page = try caller().call("GET", "/metrics").text
        return page.split(separator: "\n").reduce(0) { sum, line in
            guard line.hasPrefix(name + "{"), let value = line.split(separator: " ").last else {
                return sum
            }
            return sum + (Double(value) ?? .nan)
        }
    }

    /// Asks again and again, for ten seconds at most, until a series has the value.
    func waitFor(_ name: String, _ value: Double) throws -> Bool {
        let limit = MonotonicClock.now() + .seconds(10)
        while MonotonicClock.now() < limit {
            if try metric(name) == value { return true }
        }
        return false
    }
}

/// Recorded answers beside the tests.
enum Fixture {
    static func bytes(_ name: String, relativeTo file: StaticString = #filePath) throws -> [UInt8] {
        let folder = "\(file)".split(separator: "/", omittingEmptySubsequences: false).dropLast()
        return try Files.readFile(
            folder.joined(separator: "/") + "/Fixtures/" + name, limit: 1 << 20)
    }

    /// The bytes behind the head.
    static func body(_ name: String) throws -> [UInt8] {
        let bytes = try bytes(name)
        let end = try #require(
            bytes.indices.first { bytes[$0...].starts(with: [13, 10, 13, 10]) })
        return Array(bytes[(end + 4)...])
    }

    static func json(_ name: String) throws -> JSONValue { try #require(JSONValue(body(name))) }

    static func events(_ name: String) throws -> [JSONValue] {
        try HTTPCaller.events(in: body(name)).filter { $0 != "[DONE]" }.map {
            try #require(JSONValue($0))
        }
    }
}

/// The names of all members in their order, with the kind of each value; of an array the first
/// element's.
func shape(_ value: JSONValue) -> String {
    switch value {
    case .object(let members):
        "{" + members.map { "\($0.name):\(shape($0.value))" }.joined(separator: ",") + "}"
    case .array(let elements): "[" + (elements.first.map(shape) ?? "") + "]"
    case .string: "string"
    case .number: "number"
    case .bool: "bool"
    case .null: "null"
    }
}
