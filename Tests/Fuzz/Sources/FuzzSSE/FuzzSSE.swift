// SPDX-License-Identifier: Apache-2.0

import FuzzSupport
import Units
import Wire

private struct Reading: Equatable {
    var ends: [Int] = []
    var kinds: [SSEBlock.Kind] = []
    var data: [[UInt8]] = []
    var restIsBlock = false

    init(_ bytes: [UInt8], cuts: [Int]) {
        var splitter = SSESplitter()
        var start = 0
        for cut in cuts {
            let piece = Array(bytes[start..<cut])
            var from = 0
            while let end = unsafe splitter.nextBlockEnd(piece.span.bytes, from: from) {
                check(end >= from && start + end > ends.last ?? -1, "ends go on")
                take(bytes, upTo: start + end)
                from = end
            }
            start = cut
        }
        restIsBlock = splitter.restIsBlock
        if restIsBlock { take(bytes, upTo: bytes.count) }
    }

    private mutating func take(_ bytes: [UInt8], upTo end: Int) {
        let block = unsafe SSEBlock(
            bytes.span.bytes, (ends.last ?? 0)..<end, ends.isEmpty ? .first : .later)
        ends.append(end)
        kinds.append(block.kind)
        var joined = ByteBuffer()
        unsafe block.appendData(bytes.span.bytes, to: &joined)
        data.append(unsafe Array(joined.readable))
        check((block.kind == .data) == (block.dataLines > 0), "data makes an event")
        let feeds = data[data.count - 1].count { $0 == 10 }
        check(feeds == max(0, block.dataLines - 1), "a line feed between two lines")
    }
}

/// The same blocks however the stream is cut.
@c(LLVMFuzzerTestOneInput)
public func oneInput(_ data: UnsafePointer<UInt8>?, _ size: Int) -> CInt {
    let input = unsafe FuzzInput(UnsafeRawBufferPointer(start: data, count: size))
    let whole = Reading(input.bytes, cuts: [input.bytes.count])
    check(Reading(input.bytes, cuts: input.cuts) == whole, "cuts change nothing")
    return 0
}

@main
struct FuzzSSE {
    static func main() { unsafe runFuzzer(oneInput) }
}
