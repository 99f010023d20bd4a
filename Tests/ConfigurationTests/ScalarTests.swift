// SPDX-License-Identifier: Apache-2.0

import Configuration
import Policy
import Testing
import Units

/// How each type of value is read, and what is said of what is not one.
@Suite struct ScalarTests {
    // MARK: Durations

    @Test(arguments: [
        ("1ms", Duration.milliseconds(1)), ("250ms", .milliseconds(250)), ("2s", .seconds(2)),
        ("1.5s", .milliseconds(1_500)), ("0.001s", .milliseconds(1)), ("5m", .seconds(300)),
        ("1.5h", .seconds(5_400)), ("1h", .seconds(3_600)), ("1d", .seconds(86_400)),
        ("1_000ms", .seconds(1)), ("'3s'", .seconds(3)), ("\"3s\"", .seconds(3)),
    ])
    func aDurationHasAUnit(text: String, expected: Duration) throws {
        let loaded = try Document().with(.trafficClass, "queue: {max_wait: \(text)}").load()
        #expect(loaded.policy.classes[0].queue.maxWait == expected)
    }

    @Test(arguments: [
        ("2", "from 1ms to 24h, found '2'; it needs a unit: ms, s, m, h or d"),
        ("2.5", "from 1ms to 24h, found '2.5'; it needs a unit: ms, s, m, h or d"),
        ("0s", "from 1ms to 24h, found '0s'"), ("2d", "from 1ms to 24h, found '2d'"),
        ("0.5ms", "from 1ms to 24h, found '0.5ms'"),
        ("1.s", "from 1ms to 24h, found '1.s'LIKE"),
        ("-1s", "from 1ms to 24h, found '-1s'LIKE"),
        ("1m30s", "from 1ms to 24h, found '1m30s'LIKE"),
        ("1 s", "from 1ms to 24h, found '1 s'LIKE"),
        ("1S", "from 1ms to 24h, found '1S'LIKE"),
        ("1.2345s", "from 1ms to 24h, found '1.2345s'LIKE"),
        (
            "99999999999999999999s",
            "from 1ms to 24h, found '99999999999999999999s'LIKE"
        ),
        (
            "9223372036854775807d",
            "from 1ms to 24h, found '9223372036854775807d'LIKE"
        ),
        ("ms", "from 1ms to 24h, found 'ms'LIKE"),
        ("[1s]", "from 1ms to 24h, found a list"), ("{a: 1}", "from 1ms to 24h, found a mapping"),
    ])
    func whatIsNoDurationIsAMistake(text: String, message: String) {
        let mistakes = Document().with(.trafficClass, "queue: {max_wait: \(text)}").mistakes()
        let like = "; it is written like 250ms, 30s, 5m, 1h or 2d"
        let expected = message.replacing("LIKE", with: like)
        #expect(mistakes == ["18:23: classes[0].queue.max_wait: expected a duration \(expected)"])
    }

    // MARK: Sizes

    @Test(arguments: [
        ("1024B", Bytes(1_024)), ("64KiB", .kibi(64)), ("8MiB", .mebi(8)), ("1GiB", .mebi(1_024)),
        ("1.5KiB", Bytes(1_536)), ("0.5GiB", .mebi(512)),
    ])
    func aSizeHasAUnit(text: String, expected: Bytes) throws {
        let loaded = try Document()
            .with(.top, "http: {max_body: \(text), max_buffered_bodies: 1GiB}").load()
        #expect(loaded.policy.http.maxBody == expected)
    }

    @Test(arguments: [
        ("8MB", ", found '8MB'LIKE"),
        ("1048576", ", found '1048576'; it needs a unit: B, KiB, MiB or GiB"),
        ("1B", ", found '1B'"), ("2GiB", ", found '2GiB'"),
        ("0.3KiB", ", found '0.3KiB'LIKE"),
        ("-8MiB", ", found '-8MiB'LIKE"),
        ("99999999999GiB", ", found '99999999999GiB'LIKE"),
    ])
    func whatIsNoSizeIsAMistake(text: String, message: String) {
        let mistakes = Document().with(.top, "http: {max_body: \(text)}").mistakes()
        let like = "; it is written like 100B, 64KiB, 8MiB or 1GiB"
        let expected = message.replacing("LIKE", with: like)
        #expect(
            mistakes == ["24:18: http.max_body: expected a size from 1KiB to 1GiB\(expected)"])
    }

    // MARK: Numbers

    @Test(arguments: [
        ("1", 1), ("0001", nil), ("010", nil), ("1_000", 1_000), ("_1", nil), ("1_", nil),
        ("1__0", nil), ("0x10", nil), ("1e3", nil), ("1.0", nil), ("+5", nil), ("-5", nil),
        ("0", nil), ("1000000", 1_000_000), ("1000001", nil), ("true", nil), ("'7'", 7),
        ("9223372036854775808", nil), ("99999999999999999999999", nil), ("१", nil),
    ])
    func aWholeNumberIsDigits(text: String, expected: Int?) throws {
        let document = Document().with(.trafficClass, "queue: {max_requests: \(text)}")
        if let expected {
            #expect(try document.load().policy.classes[0].queue.maxRequests == expected)
        } else {
            let found = text.replacing("'", with: "")
            #expect(
                document.mistakes() == [
                    "18:27: classes[0].queue.max_requests: expected a whole number from 1 to "
                        + "1000000 (requests), found '\(found)'"
                ])
        }
    }

    @Test(arguments: [
        ("0.5", 0.5), ("1", 1), ("1e2", 100), ("1.5E+1", 15), ("25e-1", 2.5), (".5", 0.5),
        ("1.", nil), ("1e", nil), ("0x1p3", nil), ("nan", nil), ("inf", nil), (".inf", nil),
        ("1e400", nil), ("-1", nil), ("0", nil), ("1,5", nil), ("", 1), ("1e-400", nil),
    ])
    func aNumberIsDecimal(text: String, expected: Double?) throws {
        let document = Document().with(.tenant, "weight: '\(text)'")
        if let expected {
            #expect(try document.load().policy.tenants[0].weight == expected)
        } else {
            #expect(
                document.mistakes() == [
                    "23:13: tenants[0].weight: expected a number from 0.001 to 1000, "
                        + "found '\(text)'"
                ])
        }
    }

    // MARK: Words and names

    @Test func aWordIsOneOfAFew() {
        #expect(
            Document().with(.top, "store: {kind: memry}").mistakes() == [
                "24:15: store.kind: expected one of memory, redis, found 'memry'; "
                    + "did you mean 'memory'?"
            ])
        #expect(
            Document().with(.listener, "protocols: [http3]").mistakes() == [
                "4:17: listeners[0].protocols[0]: expected one of http1, http2, found 'http3'; "
                    + "did you mean 'http1'?"
            ])
    }

    @Test(arguments: [
        "tenants[0].limits.mode: 'shadow'"
    ])
    func aWordOfALaterVersionIsSaidToBeOne(expected: String) throws {
        let parts = expected.split(separator: ": ")
        let value = parts[1].replacing("'", with: "")
        let name = parts[0].split(separator: ".").last ?? ""
        let document = Document().with(.tenant, "limits: {\(name): \(value)}")
        let mistake = try #require(document.mistakes().first)
        #expect(document.mistakes().count == 1)
        #expect(mistake.hasSuffix(" \(expected) is not available in this version"))
    }

    @Test(arguments: [
        "org/model-7B_v1.2:latest@sha+x", "a", "4",
        String(repeating: "x", count: 128),
    ])
    func aModelsNameHasMostVisibleCharacters(name: String) throws {
        let loaded = try Document(text: Document().text.replacing("name: m", with: "name: \(name)"))
            .with(.top, "").replacingModel(with: name).load()
        #expect(loaded.policy.models[0].name == name)
    }

    @Test(arguments: ["'a b'", "'-a'", "ä", "'a\"b'", "'a,b'", String(repeating: "x", count: 129)])
    func otherCharactersAreRefusedInAName(name: String) {
        let document = Document(text: Document().text.replacing("name: m", with: "name: \(name)"))
        #expect(document.mistakes().count == 1)
        #expect(
            document.mistakes()[0].hasPrefix(
                "6:11: models[0].name: expected a name (letters, digits and ._-:@+/, at most 128, "
            ))
    }

    @Test func aTenantsNameHasNoSlashBecauseItStandsInPaths() {
        let document = Document(text: Document().text.replacing("id: anonymous", with: "id: a/b"))
        #expect(document.mistakes()[0].hasPrefix("20:9: tenants[0].id: expected a name"))
    }

    @Test func aTenantsNameIsNotTheOneOfAllOthersInMetrics() {
        let key = "keys: ['sha256:\(String(repeating: "a", count: 64))']"
        let text = Document().with(.tenant, key).text.replacing("id: anonymous", with: "id: other")
        let mistakes = Document(text: text).mistakes()
        #expect(mistakes.count == 1)
        #expect(mistakes[0].hasPrefix("20:9: tenants[0].id: 'other' is what metrics call"))
    }

    @Test(arguments: [("USD", true), ("usd", false), ("EURO", false), ("€", false)])
    func aCurrencyIsThreeCapitals(text: String, isRight: Bool) {
        let price = "{input_per_million: 1, output_per_million: 1, currency: \(text)}"
        #expect(Document().with(.model, "price: \(price)").mistakes().isEmpty == isRight)
    }
}

extension Document {
    fileprivate func replacingModel(with name: String) -> Document {
        Document(text: text.replacing("[m]", with: "[\(name)]"))
    }
}
