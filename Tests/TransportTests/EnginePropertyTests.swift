// SPDX-License-Identifier: Apache-2.0

import EventLoop
import Testing
import Transport
import TransportSupport
import Units
import Wire

/// Requests one after the other to an engine that answers in any framing and in any pieces, and
/// breaks off now and then: each answer is the one to its request, whole or a fault.
@Suite
struct EnginePropertyTests {
    private func payload(_ number: Int, _ random: inout SplitMix64) -> String {
        "\(number):" + String(repeating: "p", count: Int(random.next() % 3) * 20_000 + number % 7)
    }

    private func answer(_ payload: String, _ random: inout SplitMix64) -> [UInt8] {
        let size = payload.utf8.count
        var text = random.next() % 3 == 0 ? "HTTP/1.1 100 Continue\r\n\r\n" : ""
        switch random.next() % 3 {
        case 0: text += "HTTP/1.1 200 OK\r\nContent-Length: \(size)\r\n\r\n\(payload)"
        case 1:
            text += "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
            var rest = payload[...]
            while !rest.isEmpty {
                let piece = rest.prefix(Int(random.next() % 15_000) + 1)
                rest = rest.dropFirst(piece.count)
                text += "\(String(piece.utf8.count, radix: 16));x\r\n\(piece)\r\n"
            }
            text += "0\r\n\r\n"
        default:
            text +=
                "HTTP/1.1 200 OK\r\nX: \(String(repeating: "y", count: 9_000))\r\n"
                + "Content-Length: \(size)\r\n\r\n\(payload)"
        }
        return Array(text.utf8)
    }

    @Test(arguments: 0..<200 as Range<UInt64>)
    func answersNeverMix(seed: UInt64) throws {
        var random = SplitMix64(seed: seed)
        let engine = try EngineRig(writing: seed % 4 < 2 ? .atOnce : .atTurnsEnd)
        for number in 0..<12 {
            guard engine.client.isReusable else { break }
            let before = engine.heard.count
            let payload = payload(number, &random)
            let bytes = answer(payload, &random)
            // Sometimes cut off, sometimes with bytes of another answer behind it.
            let cut = random.next() % 12 == 0 ? Int(random.next() % UInt64(bytes.count)) : nil
            let isFollowed = cut == nil && random.next() % 6 == 0
            engine.client.ask(
                .post, body: [UInt8](repeating: 0x61, count: Int(random.next() % 3) * 30_000))
            engine.rig.pump(engine.client)
            engine.rig.turn(atMost: .zero)
            var rest = bytes[..<(cut ?? bytes.count)] + (isFollowed ? Array("HTTP/1.1 ".utf8) : [])
            while !rest.isEmpty {
                let piece = rest.prefix(Int(random.next() % 12_000) + 1)
                rest = rest.dropFirst(piece.count)
                engine.engine.send(Array(piece))
                switch random.next() % 5 {
                case 0: engine.client.pauseReading()
                case 1: break
                default: engine.rig.turn(atMost: .zero)
                }
                engine.client.resumeReading()
                engine.rig.pump(engine.client)
            }
            if cut != nil {
                if seed % 2 == 0 { engine.engine.finish() } else { engine.engine.close() }
            }
            let done = engine.rig.run {
                engine.heard.dropFirst(before).contains {
                    if case .fault = $0 { true } else { $0 == .end }
                }
            }
            #expect(done)
            let heard = engine.heard.dropFirst(before).filter { $0 != .connected }
            if cut == nil {
                #expect(Array(heard.prefix(3)) == [.head(200), .payload(payload), .end])
            } else {
                #expect(!heard.contains(.end))
                if case .payload(let part)? = heard.dropFirst().first {
                    #expect(payload.hasPrefix(part))
                }
            }
            engine.rig.settle()
            #expect(engine.client.isReusable == (cut == nil && !isFollowed))
        }
    }
}
