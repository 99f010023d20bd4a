// SPDX-License-Identifier: Apache-2.0

import Testing
import Wire

/// The head of one request as text, or its fault.
private func parse(_ text: String) -> Result<(RequestHead, Int?), HeadFault> {
    var parser = RequestParser(limits: HeadLimits(maxTarget: 100, maxHead: 1000, maxFields: 10))
    var head = RequestHead()
    let bytes = Array(text.utf8)
    do {
        let taken = try unsafe parser.parse(bytes.span.bytes, into: &head)
        return .success((head, taken))
    } catch {
        return .failure(error)
    }
}

@Test func aPlainRequestParses() throws {
    let (head, taken) = try parse(
        "POST /v1/x?a=b HTTP/1.1\r\nHost: a:80\r\nContent-Length: 12\r\nX-Api-Key:  k \r\n\r\nrest"
    ).get()
    #expect(taken == 75)
    #expect(head.method == .post)
    #expect(head.fields.map(\.id) == [.host, .contentLength, .xAPIKey])
    #expect(head.framing == .length(12))
    #expect(head.fields[2].value.count == 1)
    #expect(head.keepAlive)
}
