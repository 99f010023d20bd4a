// SPDX-License-Identifier: Apache-2.0

import Units
import Wire

/// Limits that no test reaches by accident.
let roomy = HeadLimits(maxTarget: 8 << 10, maxHead: 32 << 10, maxFields: 128)

/// What a request parser made of some bytes.
struct RequestReading: Equatable {
    var head = RequestHead()
    var taken: Int?
    var fault: HeadFault?
    var bytes: [UInt8]

    /// Gives the parser the bytes up to each of `cuts` and then all, each time in memory of their
    /// own.
    init(_ bytes: [UInt8], cuts: [Int] = [], limits: HeadLimits = roomy) {
        self.bytes = bytes
        var parser = RequestParser(limits: limits)
        for end in cuts + [bytes.count] {
            let prefix = Array(bytes[..<end])
            do {
                taken = try unsafe parser.parse(prefix.span.bytes, into: &head)
            } catch {
                fault = error
            }
            if taken != nil || fault != nil { return }
        }
    }
    init(_ text: String, limits: HeadLimits = roomy) { self.init(Array(text.utf8), limits: limits) }

    func text(_ range: ByteRange) -> String { String(decoding: bytes[range.range], as: UTF8.self) }
    func value(_ id: FieldName) -> String? { head.first(id).map { text($0.value) } }
}

/// What a response parser made of some bytes.
struct ResponseReading: Equatable {
    var head = ResponseHead()
    var taken: Int?
    var fault: HeadFault?
    var bytes: [UInt8]

    init(
        _ bytes: [UInt8], cuts: [Int] = [], method: Wire.Method = .post, limits: HeadLimits = roomy
    ) {
        self.bytes = bytes
        var parser = ResponseParser(limits: limits)
        for end in cuts + [bytes.count] {
            let prefix = Array(bytes[..<end])
            do {
                taken = try unsafe parser.parse(
                    prefix.span.bytes, requestMethod: method, into: &head)
            } catch {
                fault = error
            }
            if taken != nil || fault != nil { return }
        }
    }
    init(_ text: String, method: Wire.Method = .post, limits: HeadLimits = roomy) {
        self.init(Array(text.utf8), method: method, limits: limits)
    }

    func text(_ range: ByteRange) -> String { String(decoding: bytes[range.range], as: UTF8.self) }
    func value(_ id: FieldName) -> String? { head.first(id).map { text($0.value) } }
}

/// What a chunked decoder made of some bytes.
struct ChunkedReading: Equatable {
    var content: [UInt8] = []
    /// Bytes of the input up to the end of the body; nil where it did not end.
    var taken: Int?
    var fault: ChunkFault?
    var trailers: [UInt8] = []

    /// Gives the decoder the bytes in pieces that end at each of `cuts` and at the end.
    init(
        _ bytes: [UInt8], cuts: [Int] = [], maxExtensions: Int = 4 << 10,
        maxTrailers: Int = 8 << 10, maxFields: Int = 128
    ) {
        var decoder = ChunkedDecoder(
            maxExtensions: maxExtensions, maxTrailers: maxTrailers, maxFields: maxFields)
        var start = 0
        for end in cuts + [bytes.count] {
            while start < end || (start == end && end == bytes.count) {
                let piece = Array(bytes[start..<end])
                do {
                    switch try unsafe decoder.next(piece.span.bytes) {
                    case .payload(let range, let consumed):
                        content += piece[range]
                        start += consumed
                        continue
                    case .more(let consumed):
                        start += consumed
                    case .end(let consumed):
                        taken = start + consumed
                        trailers = decoder.trailers
                    }
                } catch {
                    fault = error
                }
                break
            }
            if taken != nil || fault != nil { return }
        }
    }
    init(_ text: String) { self.init(Array(text.utf8)) }

    var text: String { String(decoding: content, as: UTF8.self) }
}

extension ByteBuffer {
    /// What it holds, as text.
    var text: String { unsafe String(decoding: readable, as: UTF8.self) }
}

/// Ascending places to cut `count` bytes at: up to five of them, at random.
func cuts(of count: Int, _ random: inout SplitMix64) -> [Int] {
    guard count > 0 else { return [] }
    return (0..<Int.random(in: 1...5, using: &random)).map { _ in
        Int.random(in: 0...count, using: &random)
    }.sorted()
}
