// SPDX-License-Identifier: Apache-2.0

import Dialects
import Testing
import Units

struct CountingMeter: TextMeter {
    var bytes = 0
    var texts = 0
    mutating func feed(_ text: RawSpan) { bytes += text.byteCount }
    mutating func boundary() { texts += 1 }
}

@Test func smoke() throws {
    let body = Array(
        """
        {"priority":3,"model":"m","messages":[{"role":"user","content":"h\\u00e9"}],"stream":true, "max_tokens" : 7.0 }
        """.utf8)
    var inspection = Inspection()
    var meter = CountingMeter()
    var tools = CountingMeter()
    let raw = unsafe body.span.bytes
    try inspect(
        raw, .chatCompletions, meter: &meter, tools: &tools, into: &inspection)
    #expect(inspection.bound == Tokens(7))
    #expect(meter.bytes == 3)
    var out = ByteBuffer()
    _ = apply(
        body: raw, inspection: inspection,
        edits: BodyEdits(model: "x\"y", bound: Tokens(5), askUsage: true), into: &out)
    let text = unsafe String(decoding: out.readable, as: UTF8.self)
    var reader = StreamReader(.chatCompletions, asked: [], scope: .answer)
    let chunk = Array(
        #"{"id":1,"choices":[{"delta":{"content":"\"usage\":"}}],"usage":{"prompt_tokens":3,"completion_tokens":4}}"#
            .utf8)
    let event = unsafe reader.read(chunk.span.bytes)
}
