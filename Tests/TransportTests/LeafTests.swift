// SPDX-License-Identifier: Apache-2.0

import Testing
import Transport
import Units

@Suite
struct LeafTests {
    /// The first is the example of RFC 9110 section 5.6.7.
    @Test(arguments: [
        (784_111_777, "Sun, 06 Nov 1994 08:49:37 GMT"),
        (0, "Thu, 01 Jan 1970 00:00:00 GMT"),
        (951_782_400, "Tue, 29 Feb 2000 00:00:00 GMT"),
        (1_709_251_199, "Thu, 29 Feb 2024 23:59:59 GMT"),
        (4_102_444_799, "Thu, 31 Dec 2099 23:59:59 GMT"),
        (-1, "Wed, 31 Dec 1969 23:59:59 GMT"),
    ])
    func aDateIsWrittenAsHTTPWantsIt(seconds: Int64, text: String) {
        var date = HTTPDate()
        let line = unsafe date.line(WallTime(nanoseconds: seconds * 1_000_000_000))
        #expect(unsafe String(decoding: line, as: UTF8.self) == "Date: \(text)\r\n")
    }

    @Test
    func aDateFollowsTheSeconds() {
        var date = HTTPDate()
        var seen: Set<String> = []
        for tenth in 0..<30 as Range<Int64> {
            let line = unsafe date.line(WallTime(nanoseconds: tenth * 100_000_000))
            unsafe seen.insert(String(decoding: line, as: UTF8.self))
        }
        #expect(seen.count == 3)
    }

    /// FIPS 180-4's examples.
    @Test(
        arguments: [
            (
                "",
                [
                    0xE3B0_C442_98FC_1C14, 0x9AFB_F4C8_996F_B924, 0x27AE_41E4_649B_934C,
                    0xA495_991B_7852_B855,
                ]
            ),
            (
                "abc",
                [
                    0xBA78_16BF_8F01_CFEA, 0x4141_40DE_5DAE_2223, 0xB003_61A3_9617_7A9C,
                    0xB410_FF61_F200_15AD,
                ]
            ),
        ] as [(String, [UInt64])])
    func aDigestIsSHA256(text: String, words: [UInt64]) {
        let digest = Digest()
        for _ in 0..<2 {
            let bytes = Array(text.utf8)
            let found = unsafe bytes.withUnsafeBytes { unsafe digest.sha256($0) }
            #expect((0..<4).map { found[$0] } == words)
        }
    }

    @Test
    func everyStatusHasAReason() {
        for status in 100...599 {
            #expect(StatusText.reason(status).utf8CodeUnitCount > 0)
        }
    }
}
