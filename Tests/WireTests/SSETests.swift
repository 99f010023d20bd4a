// SPDX-License-Identifier: Apache-2.0

import Testing
import Units
import Wire

/// One event as WHATWG HTML section 9.2.6 dispatches it.
private struct Dispatched: Equatable {
    var event = ""
    var data = ""
}

/// What splitter and blocks make of a stream that arrives in pieces ending at `cuts`, each piece
/// shown to the splitter once.
private struct StreamReading: Equatable {
    var ends: [Int] = []
    var kinds: [SSEBlock.Kind] = []
    var events: [Dispatched] = []
    var restIsBlock = false

    init(_ bytes: [UInt8], cuts: [Int] = []) {
        var splitter = SSESplitter()
        var start = 0
        for cut in cuts + [bytes.count] {
            let piece = Array(bytes[start..<cut])
            var from = 0
            while let end = unsafe splitter.nextBlockEnd(piece.span.bytes, from: from) {
                take(bytes, upTo: start + end)
                from = end
            }
            start = cut
        }
        restIsBlock = splitter.restIsBlock
        if restIsBlock { take(bytes, upTo: bytes.count) }
    }

    private mutating func take(_ bytes: [UInt8], upTo end: Int) {
        let range = (ends.last ?? 0)..<end
        let position = ends.isEmpty ? SSEBlock.Position.first : .later
        ends.append(end)
        let block = unsafe SSEBlock(bytes.span.bytes, range, position)
        kinds.append(block.kind)
        guard block.kind == .data else { return }
        var data = ByteBuffer()
        unsafe block.appendData(bytes.span.bytes, to: &data)
        let event = block.event.map { String(decoding: bytes[$0.range], as: UTF8.self) }
        events.append(Dispatched(event: event ?? "", data: data.text))
        if block.dataLines == 1 {
            invariant(data.count == block.data.count, "one line is the whole of the data")
        }
    }
}

/// The specification's own steps, over the whole stream, line by line.
private func reference(_ bytes: [UInt8]) -> [Dispatched] {
    var lines: [[UInt8]] = []
    var line: [UInt8] = []
    var index = bytes.starts(with: [0xEF, 0xBB, 0xBF]) ? 3 : 0
    while index < bytes.count {
        if bytes[index] == 0x0D || bytes[index] == 0x0A {
            lines.append(line)
            line = []
            if bytes[index] == 0x0D, index + 1 < bytes.count, bytes[index + 1] == 0x0A {
                index += 1
            }
        } else {
            line.append(bytes[index])
        }
        index += 1
    }
    var events: [Dispatched] = []
    var current = Dispatched()
    var values: [String] = []
    for line in lines {
        if line.isEmpty {
            current.data = values.joined(separator: "\n")
            if !values.isEmpty { events.append(current) }
            current = Dispatched()
            values = []
            continue
        }
        let colon = line.firstIndex(of: UInt8(ascii: ":")) ?? line.count
        var value = line.dropFirst(colon + 1)
        if value.first == UInt8(ascii: " ") { value = value.dropFirst() }
        let text = String(decoding: value, as: UTF8.self)
        switch String(decoding: line[..<colon], as: UTF8.self) {
        case "data": values.append(text)
        case "event": current.event = text
        default: break
        }
    }
    return events
}

@Test(arguments: [
    ("data: a\n\n", [9]), ("data: a\r\n\r\n", [11]), ("data: a\r\r", [9]), ("data: a\n\r\n", [10]),
    ("data: a\r\n\n", [10]), ("data: a\ndata: b\n\ndata: c\n\n", [17, 26]), ("data: a\n", []),
    ("data: a\r\n\r", [10]), ("data: a\n\rdata: b\n\n", [9, 18]), ("\n\n", [1, 2]),
    ("\r\r", [1, 2]), ("\r\n\r\n", [2, 4]), ("data: a\r\r\n", [9]),
    ("data: a\r\r\ndata: b\r\r", [9, 19]),
    ("", []), ("data: a\r", []), (": c\n\n: d\n\n", [5, 10]),
    ("data: longer than one word, so that words are looked at\n\nx", [57]),
])
func aBlockEndsWithItsEmptyLine(text: String, ends: [Int]) {
    #expect(StreamReading(Array(text.utf8)).ends == ends)
}

@Test func anEventWithCarriageReturnsIsNotHeldBackForTheNextByte() {
    var splitter = SSESplitter()
    let bytes = Array("data: a\r\r".utf8)
    #expect(unsafe splitter.nextBlockEnd(bytes.span.bytes, from: 0) == bytes.count)
}

@Test func anEventInCRLFIsNotGivenOutWithoutItsLastByte() {
    var splitter = SSESplitter()
    let bytes = Array("data: a\r\n\r".utf8)
    #expect(unsafe splitter.nextBlockEnd(bytes.span.bytes, from: 0) == nil)
    #expect(splitter.restIsBlock)
    let more = Array("\n".utf8)
    #expect(unsafe splitter.nextBlockEnd(more.span.bytes, from: 0) == 1)
    #expect(!splitter.restIsBlock)
}

@Test func bytesAlreadyLookedAtMayStayInFrontOfTheNewOnes() {
    var splitter = SSESplitter()
    var bytes = Array("data: a\n".utf8)
    #expect(unsafe splitter.nextBlockEnd(bytes.span.bytes, from: 0) == nil)
    bytes += Array("\ndata: b\n\n".utf8)
    #expect(unsafe splitter.nextBlockEnd(bytes.span.bytes, from: 8) == 9)
    #expect(unsafe splitter.nextBlockEnd(bytes.span.bytes, from: 9) == bytes.count)
}

@Test func aSplitterCanBeUsedForTheNextStream() {
    var splitter = SSESplitter()
    let bytes = Array("\u{FEFF}\n".utf8)
    for _ in 0..<2 {
        #expect(unsafe splitter.nextBlockEnd(bytes.span.bytes, from: 0) == bytes.count)
        splitter.reset()
    }
}

@Test(arguments: [
    ("data: a\n\n", SSEBlock.Kind.data), ("data\n\n", .data), ("data:\n\n", .data),
    (": c\ndata: a\n\n", .data), ("data: a\nid: 1\n\n", .data), (":\n\n", .comment),
    (": a\n: b\n\n", .comment), ("event: a\n\n", .fields), (": c\nid: 1\n\n", .fields),
    ("id: 1\n: c\n\n", .fields), ("\n", .empty), ("", .empty), ("data : a\n\n", .fields),
    ("Data: a\n\n", .fields), ("datas: a\n\n", .fields), (" data: a\n\n", .fields),
    ("\r\n", .empty),
])
func aBlockIsWhatItsLinesMakeIt(text: String, kind: SSEBlock.Kind) {
    let bytes = Array(text.utf8)
    #expect(unsafe SSEBlock(bytes.span.bytes, 0..<bytes.count).kind == kind)
}

@Test(arguments: [
    ("data: a", "a"), ("data:a", "a"), ("data:  a ", " a "), ("data:", ""), ("data", ""),
    ("data: a\ndata: b", "a\nb"), ("data\ndata", "\n"), ("data: a\r\n: c\r\ndata\r\nid: 1", "a\n"),
    ("data: a\rdata:b: c\r\ndata: {\"d\": 1}", "a\nb: c\n{\"d\": 1}"),
])
func dataLinesAreJoinedWithLineFeeds(text: String, data: String) {
    let bytes = Array("xx\(text)\n\nyy".utf8)
    let block = unsafe SSEBlock(bytes.span.bytes, 2..<bytes.count - 2)
    var buffer = ByteBuffer()
    unsafe block.appendData(bytes.span.bytes, to: &buffer)
    #expect(buffer.text == data)
}

@Test func oneDataLineIsARangeOfTheInput() {
    let bytes = Array("event: x\ndata: {\"a\": 1}\nevent: message_start\n\n".utf8)
    let block = unsafe SSEBlock(bytes.span.bytes, 0..<bytes.count)
    #expect(block.dataLines == 1)
    #expect(String(decoding: bytes[block.data.range], as: UTF8.self) == "{\"a\": 1}")
    #expect(block.event.map { String(decoding: bytes[$0.range], as: UTF8.self) } == "message_start")
}

@Test(arguments: [
    ("data: abcd", 1..<3, "data: ad"), ("data:abcd", 0..<4, "data:"),
    ("data: ab\ndata: cd", 1..<4, "data: ad"), ("data: ab\ndata: cd", 0..<2, "data: \ndata: cd"),
    ("data: ab\ndata: cd", 0..<3, "data: cd"), ("data: ab\ndata: cd", 2..<5, "data: ab"),
    ("data: ab\ndata: cd", 2..<3, "data: abcd"),
    ("data: ab\r\ndata: cd", 3..<5, "data: ab\r\ndata: "),
    ("data: ab\r\n: x\r\ndata\r\nid: 1\r\ndata:cd\r\n", 1..<5, "data: ad\r\n"),
    ("event: e\ndata: ab\rid: 1\rdata: cd\r", 3..<4, "event: e\ndata: ab\rid: 1\rdata: d\r"),
])
func aPartOfTheDataIsFoundInTheBlock(text: String, part: Range<Int>, rest: String) {
    var bytes = Array("xx\(text)\n\n".utf8)
    let block = unsafe SSEBlock(bytes.span.bytes, 2..<bytes.count)
    bytes.removeSubrange(unsafe block.place(ofData: part, in: bytes.span.bytes))
    #expect(String(decoding: bytes, as: UTF8.self) == "xx\(rest)\n\n")
}

@Test(arguments: 0..<300 as Range<UInt64>)
func withoutThePartsPlaceTheDataLacksJustThePart(seed: UInt64) {
    var random = SplitMix64(seed: seed)
    let breaks = ["\n", "\r\n", "\r"]
    var text = ""
    for _ in 0..<Int.random(in: 1...8, using: &random) {
        let lines = ["data: abc", "data: ", "data: {\"a\":1}", ": comment", "id: 7", "data: z"]
        text += lines[Int.random(in: 0..<lines.count, using: &random)]
        text += breaks[Int.random(in: 0..<breaks.count, using: &random)]
    }
    let bytes = Array("data: first\n\(text)\n".utf8)
    let block = unsafe SSEBlock(bytes.span.bytes, 0..<bytes.count)
    var data = ByteBuffer()
    unsafe block.appendData(bytes.span.bytes, to: &data)
    let bounds = [0, 1].map { _ in Int.random(in: 0...data.count, using: &random) }.sorted()
    var rest = bytes
    rest.removeSubrange(
        unsafe block.place(ofData: bounds[0]..<bounds[1], in: bytes.span.bytes))
    var left = ByteBuffer()
    unsafe SSEBlock(rest.span.bytes, 0..<rest.count).appendData(rest.span.bytes, to: &left)
    var expected = Array(data.text.utf8)
    expected.removeSubrange(bounds[0]..<bounds[1])
    #expect(Array(left.text.utf8) == expected)
}

@Test func oneByteOrderMarkInFrontOfTheStreamIsSkipped() {
    let mark = "\u{FEFF}"
    #expect(StreamReading(Array("\(mark)data: a\n\n".utf8)).events.map(\.data) == ["a"])
    #expect(StreamReading(Array("\(mark)\(mark)data: a\n\n".utf8)).events.isEmpty)
    #expect(StreamReading(Array("data: a\n\n\(mark)data: b\n\n".utf8)).events.map(\.data) == ["a"])
    #expect(StreamReading(Array("\(mark)\ndata: a\n\n".utf8)).ends == [4, 13])
    #expect(StreamReading([0xEF, 0xBB] + Array("\n\n".utf8)).ends == [4])
}

@Test(arguments: 0..<500 as Range<UInt64>)
func aStreamGivesTheSpecifiedEventsHoweverItIsCut(seed: UInt64) {
    var random = SplitMix64(seed: seed)
    let lines = [
        "data: a", "data: {\"choices\": [1, 2, 3]}", "data", "data:", "event: e", ": comment", "",
        "", "", "id: 1", "other: x", "data : x", ":", "\u{FEFF}data: m",
    ]
    let breaks = [["\n"], ["\r\n"], ["\r"], ["\n", "\r\n", "\r"]]
    let ends = breaks[Int.random(in: 0..<breaks.count, using: &random)]
    var text = Bool.random(using: &random) ? "" : "\u{FEFF}"
    for _ in 0..<Int.random(in: 0...20, using: &random) {
        text += lines[Int.random(in: 0..<lines.count, using: &random)]
        text += ends[Int.random(in: 0..<ends.count, using: &random)]
    }
    let bytes = Array(text.utf8)
    let whole = StreamReading(bytes)
    #expect(whole.events == reference(bytes))
    #expect(StreamReading(bytes, cuts: cuts(of: bytes.count, &random)) == whole)
    #expect(StreamReading(bytes, cuts: Array(0..<bytes.count)) == whole)
}
