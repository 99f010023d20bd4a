// SPDX-License-Identifier: Apache-2.0

import Ledger
import Testing
import Units

/// An entry with something in every member.
func someEntry(number: UInt64 = 7, tenant: String = "acme") -> LedgerEntry {
    var entry = LedgerEntry(
        time: WallTime(nanoseconds: 1_795_892_701_123_456_000), gateway: 0x0123_4567_89AB_CDEF,
        number: number, requestID: "a\"b\\c", tenant: tenant, trafficClass: "interactive",
        model: "llama/3.1é", outcome: "completed", source: "engine")
    entry.key = "0123456789ab"
    entry.input = 100
    entry.cachedInput = 60
    entry.output = 20
    entry.reasoning = 5
    entry.cost = Money(picos: 123_000_000)
    entry.currency = "USD"
    return entry
}

func line(_ entry: LedgerEntry) -> [UInt8] {
    var text = ByteBuffer()
    LedgerLine.append(entry, to: &text)
    return unsafe Array(text.readable)
}

func read(_ bytes: some Sequence<UInt8>) -> LedgerEntry? {
    let bytes = Array(bytes)
    return unsafe LedgerLine.read(bytes.span.bytes)
}

@Suite struct LedgerLineTests {
    @Test func aLineIsJSONInAFixedOrderWithItsChecksumLast() {
        let text = String(decoding: line(someEntry()), as: UTF8.self)
        #expect(
            text
                == #"{"time":"2026-11-28T19:05:01.123456Z","gateway":"0123456789abcdef","#
                + #""number":7,"request_id":"a\"b\\c","tenant":"acme","key":"0123456789ab","#
                + #""class":"interactive","model":"llama/3.1é","outcome":"completed","#
                + #""source":"engine","input":100,"cached_input":60,"output":20,"reasoning":5,"#
                + #""cost":0.000123,"currency":"USD","crc":"\#(crc(text))"}"# + "\n")
    }

    private func crc(_ text: String) -> String { String(text.dropLast(3).suffix(8)) }

    @Test func whatIsWrittenIsRead() {
        var plain = someEntry()
        plain.key = nil
        plain.cost = nil
        plain.currency = nil
        for entry in [someEntry(), plain] {
            #expect(read(line(entry).dropLast()) == entry)
        }
    }

    @Test func noPieceOfALineIsAnEntry() {
        let whole = Array(line(someEntry()).dropLast())
        for count in 0..<whole.count {
            #expect(read(whole[..<count]) == nil, "the first \(count) bytes")
            if count > 0 { #expect(read(whole[count...]) == nil, "without the first \(count)") }
        }
    }

    @Test func noByteMayBeAnother() {
        let whole = Array(line(someEntry()).dropLast())
        for place in whole.indices {
            for flip in [UInt8(1), 0x10, 0x80] {
                var altered = whole
                altered[place] ^= flip
                #expect(read(altered) == nil, "byte \(place)")
            }
        }
    }

    @Test func whatALaterVersionAddsIsSkipped() throws {
        let text = String(decoding: line(someEntry()), as: UTF8.self)
        let start = try #require(text.range(of: #","crc""#))
        var longer = Array(text[..<start.lowerBound].utf8)
        longer += Array(#","more":{"x":[1,null]}"#.utf8)
        let sum = castagnoli(longer)
        let digits = String(sum, radix: 16)
        let padded = String(repeating: "0", count: 8 - digits.count) + digits
        longer += Array(",\"crc\":\"\(padded)\"}".utf8)
        #expect(read(longer) == someEntry())
    }

    /// Bit by bit, as the polynomial says.
    private func castagnoli(_ bytes: [UInt8]) -> UInt32 {
        var sum = UInt32.max
        for byte in bytes {
            sum ^= UInt32(byte)
            for _ in 0..<8 { sum = sum & 1 == 1 ? sum >> 1 ^ 0x82F6_3B78 : sum >> 1 }
        }
        return ~sum
    }

    @Test func theChecksumIsCastagnolis() {
        // RFC 3720 appendix B.4 has others; this one is the common check value.
        #expect(castagnoli(Array("123456789".utf8)) == 0xE306_9283)
    }

    @Test func theChecksumIsThatOfAnyLength() throws {
        for count in 0..<40 {
            let text = line(someEntry(tenant: String(repeating: "x", count: count)))
            let sum = String(castagnoli(Array(text.dropLast(19))), radix: 16)
            let shown = String(decoding: text.dropLast(3).suffix(8), as: UTF8.self)
            #expect(shown.drop { $0 == "0" } == sum, "a name of \(count) bytes")
        }
    }

    @Test(arguments: [
        (0, "0"), (1, "0.000000000001"), (123_456_789_012, "0.123456789012"),
        (1_000_000_000_000, "1"), (12_000_000_000_010, "12.00000000001"),
        (1_500_000_000_000, "1.5"), (1_000_000_000_000_000_000, "1000000"),
        (-1_500_000_000_000, "-1.5"), (-1, "-0.000000000001"),
    ])
    func moneyIsSpeltTheSameInALine(picos: Int, digits: String) {
        var entry = someEntry()
        entry.cost = Money(picos: Int128(picos))
        #expect(entry.cost?.text == digits)
        let text = String(decoding: line(entry), as: UTF8.self)
        #expect(text.contains(",\"cost\":\(digits),"))
    }

    @Test(arguments: [
        (0, "1970-01-01T00:00:00.000000Z"), (951_782_400_000_001, "2000-02-29T00:00:00.000001Z"),
        (-1, "1969-12-31T23:59:59.999999Z"), (7_226_582_399_900_000, "2198-12-31T23:59:59.900000Z"),
    ])
    func aTimeHasAllItsDigits(microseconds: Int64, text: String) {
        #expect(LedgerTime.text(WallTime(nanoseconds: microseconds * 1_000)) == text)
    }

    @Test func theLongestNamesStillFit() {
        var entry = someEntry()
        entry.requestID = String(repeating: "\"", count: 128)
        entry.tenant = String(repeating: "\u{1}", count: 256)
        entry.model = entry.tenant
        entry.trafficClass = entry.tenant
        let bytes = line(entry)
        #expect(bytes.count <= LedgerLine.mostBytes)
        #expect(read(bytes.dropLast()) == entry)
    }
}

extension String {
    fileprivate func range(of part: String) -> Range<String.Index>? { firstRange(of: part) }
}
