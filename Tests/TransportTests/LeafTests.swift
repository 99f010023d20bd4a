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
        for digest in [Digest(), Digest(remembering: 7)] {
            for _ in 0..<2 { #expect(words == sha256(Array(text.utf8), digest)) }
        }
    }

    private func sha256(_ bytes: [UInt8], _ digest: Digest) -> [UInt64] {
        let found = unsafe bytes.withUnsafeBytes { unsafe digest.sha256($0) }
        return (0..<4).map { found[$0] }
    }

    /// Far more texts than are remembered, many of them alike but for one byte or for their length.
    @Test(arguments: [UInt64(1), 2])
    func aRememberedDigestIsTheTextsOwn(seed: UInt64) {
        let plain = Digest()
        let remembering = Digest(remembering: seed)
        var random = SplitMix64(seed: seed)
        let base = (0..<160).map { _ in UInt8(truncatingIfNeeded: random.next()) }
        var texts: [[UInt8]] = []
        for count in [0, 1, 7, 8, 9, 51, 127, 128, 129, 160] {
            let text = Array(base[..<count])
            texts.append(text)
            texts.append(text + [0])
            for place in [0, count / 2, count - 1] where count > 0 {
                var changed = text
                changed[place] ^= 1
                texts.append(changed)
            }
        }
        for _ in 0..<2_000 {
            let text = texts[Int(random.next() % UInt64(texts.count))]
            #expect(sha256(text, remembering) == sha256(text, plain))
        }
    }

    @Test(arguments: [
        (200, "OK"), (299, "OK"), (304, "Not Modified"), (399, "Redirection"),
        (413, "Content Too Large"), (451, "Client Error"), (529, "Overloaded"),
        (599, "Server Error"),
    ])
    func aStatusHasAReason(status: Int, reason: String) {
        #expect(StatusText.reason(status).description == reason)
    }
}
