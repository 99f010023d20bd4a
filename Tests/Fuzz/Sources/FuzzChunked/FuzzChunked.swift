// SPDX-License-Identifier: Apache-2.0

import FuzzSupport
import Units
import Wire

private struct Reading: Equatable {
    var content: [UInt8] = []
    var taken: Int?
    var fault: ChunkFault?
    var trailers: [UInt8] = []

    init(_ bytes: [UInt8], cuts: [Int], bound: Int) {
        var decoder = ChunkedDecoder(
            maxExtensions: bound, maxTrailers: bound, maxFields: min(bound, 16))
        var start = 0
        for cut in cuts {
            while start < cut, taken == nil, fault == nil {
                step(&decoder, Array(bytes[start..<cut]), &start)
            }
        }
        if taken != nil { trailers = decoder.trailers }
    }

    private mutating func step(
        _ decoder: inout ChunkedDecoder, _ piece: [UInt8], _ start: inout Int
    ) {
        do {
            switch try unsafe decoder.next(piece.span.bytes) {
            case .payload(let range, let consumed):
                check(!range.isEmpty && range.upperBound == consumed, "content is consumed")
                content += piece[range]
                start += consumed
            case .more(let consumed):
                check(consumed == piece.count, "all is used before more is asked for")
                start += consumed
            case .end(let consumed):
                taken = start + consumed
            }
        } catch {
            fault = error
        }
    }
}

/// The same answer however the body is cut, and a body that is written again reads the same.
@c(LLVMFuzzerTestOneInput)
public func oneInput(_ data: UnsafePointer<UInt8>?, _ size: Int) -> CInt {
    let input = unsafe FuzzInput(UnsafeRawBufferPointer(start: data, count: size))
    let bound = input.choice == 0 ? 4096 : Int(input.choice)
    let whole = Reading(input.bytes, cuts: [input.bytes.count], bound: bound)
    check(Reading(input.bytes, cuts: input.cuts, bound: bound) == whole, "cuts change nothing")
    guard whole.taken != nil else { return 0 }
    var buffer = ByteBuffer()
    if !whole.content.isEmpty {
        buffer.appendChunkHeader(whole.content.count)
        unsafe buffer.append(whole.content.span.bytes)
        buffer.appendChunkEnd()
    }
    unsafe buffer.appendLastChunk(trailers: whole.trailers.span.bytes)
    let written = unsafe Array(buffer.readable)
    let again = Reading(written, cuts: [written.count], bound: 4096)
    check(again.taken == written.count, "what is written ends")
    check(again.content == whole.content, "what is written has the same content")
    check(again.trailers == whole.trailers, "what is written has the same trailers")
    return 0
}

@main
struct FuzzChunked {
    static func main() { unsafe runFuzzer(oneInput) }
}
