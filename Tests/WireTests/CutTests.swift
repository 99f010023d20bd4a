// SPDX-License-Identifier: Apache-2.0

import Testing
import Units
import Wire

private let requests = [
    "POST /v1/chat/completions HTTP/1.1\r\nHost: llm.example:8080\r\nUser-Agent: OpenAI/Python\r\n"
        + "Authorization: Bearer sk-0123456789\r\nContent-Length: 1834\r\nX-Empty: \t\r\n\r\nbody",
    "\r\nGET http://h:80/p?q HTTP/1.0\r\nConnection: te, keep-alive\r\n\r\n",
    "PUT / HTTP/1.1\r\nHost: [::1]\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\nFolded: b\r\n c\r\n\r\n", "GET / HTTP/2.0\r\n\r\n",
    "OPTIONS * HTTP/1.1\r\nHost: a\r\nBad Name: b\r\n\r\n", "GET /\nHTTP/1.1\r\n\r\n",
]
private let responses = [
    "HTTP/1.1 200 OK\r\nServer: uvicorn\r\nTransfer-Encoding: chunked\r\nX: \u{E4}\r\n\r\n5\r\n",
    "HTTP/1.0 404 Not Found\r\nAccess-Control-Allow-Origin:\r\nContent-Length: 0\r\n\r\n",
    "HTTP/1.1 200\r\n\r\n", "HTTP/1.1 99 \r\n\r\n", "HTTP/1.1 200 OK\r\nA: b\rc\r\n\r\n",
]
private let bodies = [
    "5\r\nhello\r\n1A;name=\"v;\\\"\" ; b = c\r\nabcdefghijklmnopqrstuvwxyz\r\n"
        + "0\r\nA: b\r\n\r\nrest",
    "1\r\nx\r\n0\r\n\r\n", "5\r\nhelloX\r\n", "5;\r\n", "0\r\nHost: a\r\n\r\n",
    "3\r\nabc\r\n0\r\nA: b\r\n c",
]

/// The text with up to three bytes changed, so that faults of all kinds come up.
private func damaged(_ text: String, _ random: inout SplitMix64) -> [UInt8] {
    var bytes = Array(text.utf8)
    let interesting = Array("\r\n\t :;,=\"\\/0aF\u{0}\u{7F}".utf8) + [0x80, 0xFF]
    for _ in 0..<Int.random(in: 0...3, using: &random) {
        let place = Int.random(in: 0..<bytes.count, using: &random)
        let byte = interesting[Int.random(in: 0..<interesting.count, using: &random)]
        switch Int.random(in: 0..<3, using: &random) {
        case 0: bytes[place] = byte
        case 1: bytes.insert(byte, at: place)
        default: if bytes.count > 1 { bytes.remove(at: place) }
        }
    }
    return bytes
}

@Test(arguments: 0..<300 as Range<UInt64>)
func aRequestReadsTheSameHoweverItIsCut(seed: UInt64) {
    var random = SplitMix64(seed: seed)
    for text in requests {
        let bytes = damaged(text, &random)
        let limits = HeadLimits(
            maxTarget: Int.random(in: 1...60, using: &random),
            maxHead: Int.random(in: 40...400, using: &random),
            maxFields: Int.random(in: 1...8, using: &random))
        let whole = RequestReading(bytes, limits: limits)
        let pieces = RequestReading(bytes, cuts: cuts(of: bytes.count, &random), limits: limits)
        let single = RequestReading(bytes, cuts: Array(0..<bytes.count), limits: limits)
        #expect(pieces == whole)
        #expect(single == whole)
    }
}

@Test(arguments: 0..<300 as Range<UInt64>)
func aResponseReadsTheSameHoweverItIsCut(seed: UInt64) {
    var random = SplitMix64(seed: seed)
    for text in responses {
        let bytes = damaged(text, &random)
        let limits = HeadLimits(
            maxTarget: 1, maxHead: Int.random(in: 20...200, using: &random),
            maxFields: Int.random(in: 1...8, using: &random))
        let whole = ResponseReading(bytes, limits: limits)
        let pieces = ResponseReading(bytes, cuts: cuts(of: bytes.count, &random), limits: limits)
        let single = ResponseReading(bytes, cuts: Array(0..<bytes.count), limits: limits)
        #expect(pieces == whole)
        #expect(single == whole)
    }
}

@Test(arguments: 0..<300 as Range<UInt64>)
func aChunkedBodyReadsTheSameHoweverItIsCut(seed: UInt64) {
    var random = SplitMix64(seed: seed)
    for text in bodies {
        let bytes = damaged(text, &random)
        let maxExtensions = Int.random(in: 1...40, using: &random)
        let maxTrailers = Int.random(in: 1...20, using: &random)
        func read(_ cuts: [Int]) -> ChunkedReading {
            ChunkedReading(
                bytes, cuts: cuts, maxExtensions: maxExtensions, maxTrailers: maxTrailers,
                maxFields: 2)
        }
        let whole = read([])
        #expect(read(cuts(of: bytes.count, &random)) == whole)
        #expect(read(Array(0..<bytes.count)) == whole)
    }
}

@Test func theUndamagedSamplesOfTheseTestsDoWhatTheyAreFor() {
    #expect(
        requests.map { RequestReading($0).fault?.status } == [nil, nil, nil, 400, 505, 400, 400])
    #expect(responses.map { ResponseReading($0).fault == nil } == [true, true, true, false, false])
    #expect(
        bodies.map { ChunkedReading($0).fault } == [
            nil, nil, .missingDataEnd, .malformedExtension, .forbiddenTrailer, .malformedTrailer,
        ])
}
