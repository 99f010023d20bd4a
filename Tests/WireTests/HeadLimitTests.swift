// SPDX-License-Identifier: Apache-2.0

import Testing
import Wire

private func text(_ count: Int) -> String { String(repeating: "a", count: count) }

@Test func aTargetAtItsLimitIsTakenAndOneByteMoreGets414() {
    let limits = HeadLimits(maxTarget: 20, maxHead: 1000, maxFields: 5)
    let fits = RequestReading("GET /\(text(19)) HTTP/1.1\r\nHost: a\r\n\r\n", limits: limits)
    #expect(fits.fault == nil)
    let over = RequestReading("GET /\(text(20)) HTTP/1.1\r\nHost: a\r\n\r\n", limits: limits)
    #expect(over.fault == .targetTooLong(limit: 20))
    #expect(over.fault?.status == 414)
    // It is refused at the byte that is too much, whatever follows.
    #expect(RequestReading("GET /\(text(19))", limits: limits).fault == nil)
    #expect(RequestReading("GET /\(text(20))", limits: limits).fault == .targetTooLong(limit: 20))
}

@Test func aHeadAtItsLimitIsTakenAndOneByteMoreGets431() {
    let head = "GET / HTTP/1.1\r\nHost: a\r\nA: bcd\r\n\r\n"
    let count = head.utf8.count
    let exact = HeadLimits(maxTarget: 20, maxHead: count, maxFields: 5)
    #expect(RequestReading(head, limits: exact).taken == count)
    #expect(RequestReading(head + "behind it", limits: exact).taken == count)
    let less = HeadLimits(maxTarget: 20, maxHead: count - 1, maxFields: 5)
    let over = RequestReading(head, limits: less)
    #expect(over.fault == .headTooLarge(limit: count - 1))
    #expect(over.fault?.status == 431)
}

@Test(arguments: [
    "", "GET ", "GET /", "GET / HTTP/1.1\r\n", "GET / HTTP/1.1\r\nHost: ", "\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\nX-", "GET / HTTP/1.1\r\nHost: a\r\nX: \t",
])
func aHeadThatDoesNotEndIsRefusedWhenItReachesTheLimit(start: String) {
    let limits = HeadLimits(maxTarget: 1000, maxHead: 100, maxFields: 5)
    let missing = 100 - start.utf8.count
    #expect(RequestReading(start + text(missing - 1), limits: limits).fault == nil)
    #expect(
        RequestReading(start + text(missing), limits: limits).fault == .headTooLarge(limit: 100))
}

@Test func fieldsUpToTheirLimitAreTakenAndOneMoreGets431() {
    let limits = HeadLimits(maxTarget: 20, maxHead: 1000, maxFields: 3)
    let fits = RequestReading("GET / HTTP/1.1\r\nHost: a\r\nA: b\r\nA: b\r\n\r\n", limits: limits)
    #expect(fits.head.fields.count == 3)
    let over = RequestReading(
        "GET / HTTP/1.1\r\nHost: a\r\nA: b\r\nA: b\r\nA", limits: limits)
    #expect(over.fault == .tooManyFields(limit: 3))
    #expect(over.fault?.status == 431)
}

@Test func aResponseHeadHasTheSameLimits() {
    let limits = HeadLimits(maxTarget: 1, maxHead: 40, maxFields: 1)
    #expect(
        ResponseReading("HTTP/1.1 200 \(text(30))", limits: limits).fault
            == .headTooLarge(limit: 40))
    let fields = "HTTP/1.1 200 OK\r\nA: b\r\nC: d\r\n\r\n"
    #expect(ResponseReading(fields, limits: limits).fault == .tooManyFields(limit: 1))
}

@Test func everyFaultHasAStatusAndAReason() {
    let faults: [HeadFault] = [
        .malformedRequestLine, .malformedStatusLine, .malformedTarget, .unsupportedVersion,
        .targetTooLong(limit: 77), .headTooLarge(limit: 77), .tooManyFields(limit: 77),
        .malformedField, .obsoleteFolding, .bareLineBreak, .missingHost, .duplicateHost,
        .invalidHost, .conflictingLength, .invalidLength, .lengthWithTransferEncoding,
        .malformedTransferEncoding, .unsupportedTransferCoding, .transferEncodingInHTTP10,
        .malformedConnection, .unknownExpectation,
    ]
    for fault in faults {
        #expect([400, 414, 417, 431, 501, 505].contains(fault.status))
        #expect(fault.reason.hasSuffix("."))
    }
    #expect(faults[5].reason.contains("77"))
    #expect(Set(faults.map(\.reason)).count == faults.count)
}
