// SPDX-License-Identifier: Apache-2.0

import Wire

/// The sides of an image, in pixels.
public struct ImageSize: Sendable, Equatable {
    public var width: Int
    public var height: Int
    /// The client asks for less detail (`"detail": "low"`).
    public var isLow = false

    /// Sides of at least one pixel.
    public init(width: Int, height: Int, isLow: Bool = false) {
        self.width = width
        self.height = height
        self.isLow = isLow
    }
}

/// A file in Base64 (RFC 4648) within a body, as `data:` URLs (RFC 2397) and parts of messages
/// bring it. Only its header is read, byte by byte where it is wanted: nothing is decoded as a
/// whole, and nothing is fetched.
struct InlineFile {
    /// Of the Base64 text.
    private let range: Range<Int>

    /// The file of a string: of a `data:` URL, or where `isBare` the string itself. Nil for other
    /// URLs, and for strings with escapes, in which places cannot be computed.
    init?(_ string: JSONString, isBare: Bool, in body: RawSpan) {
        guard !string.isEscaped else { return nil }
        guard !isBare else {
            range = string.range
            return
        }
        guard let start = InlineFile.start(string.range, body) else { return nil }
        range = start..<string.range.upperBound
    }

    /// Bytes of the decoded file, about.
    var count: Int { range.count / 4 * 3 }

    /// Behind `data:…;base64,`.
    private static func start(_ range: Range<Int>, _ body: RawSpan) -> Int? {
        guard matches("data:", range.lowerBound, range.upperBound, body) else { return nil }
        let last = min(range.lowerBound + 128, range.upperBound)
        var at = range.lowerBound
        while at < last {
            if matches(";base64,", at, range.upperBound, body) { return at + 8 }
            at += 1
        }
        return nil
    }

    private static func matches(
        _ text: StaticString, _ start: Int, _ end: Int, _ body: RawSpan
    ) -> Bool {
        guard start + text.utf8CodeUnitCount <= end else { return false }
        for place in 0..<text.utf8CodeUnitCount
        where body.octet(start + place) != text.octet(place) {
            return false
        }
        return true
    }

    /// The byte at `place` of the decoded file; nil beyond its end, and where it is no Base64.
    private func byte(_ place: Int, _ body: RawSpan) -> Int? {
        let first = range.lowerBound + place / 3 * 4 + place % 3
        guard place >= 0, first + 1 < range.upperBound, let high = digit(first, body),
            let low = digit(first + 1, body)
        else { return nil }
        switch place % 3 {
        case 0: return (high << 2 | low >> 4) & 0xFF
        case 1: return (high << 4 | low >> 2) & 0xFF
        default: return (high << 6 | low) & 0xFF
        }
    }

    private func digit(_ place: Int, _ body: RawSpan) -> Int? {
        switch body.octet(place) {
        case let symbol where symbol >= 0x41 && symbol <= 0x5A: Int(symbol) - 0x41
        case let symbol where symbol >= 0x61 && symbol <= 0x7A: Int(symbol) - 0x47
        case let symbol where symbol >= 0x30 && symbol <= 0x39: Int(symbol) + 4
        case UInt8(ascii: "+"), UInt8(ascii: "-"): 62
        case UInt8(ascii: "/"), UInt8(ascii: "_"): 63
        default: nil
        }
    }

    /// `count` bytes from `place` on as a number, the first one highest or lowest.
    private func number(
        _ place: Int, _ count: Int, _ body: RawSpan, isLittle: Bool = false
    ) -> Int? {
        var number = 0
        for step in 0..<count {
            guard let byte = byte(isLittle ? place + count - 1 - step : place + step, body)
            else {
                return nil
            }
            number = number << 8 | byte
        }
        return number
    }
}

// MARK: Headers

extension InlineFile {
    /// The image's sides by its header: PNG, JPEG, GIF or WebP; nil where it has none of these, or
    /// says what cannot be.
    func imageSize(in body: RawSpan) -> ImageSize? {
        guard let magic = number(0, 4, body) else { return nil }
        var found: (width: Int?, height: Int?)
        switch magic {
        case 0x8950_4E47: found = (number(16, 4, body), number(20, 4, body))
        case 0x4749_4638:
            found = (number(6, 2, body, isLittle: true), number(8, 2, body, isLittle: true))
        case 0x5249_4646: found = webp(body)
        case 0xFFD8_FF00...0xFFD8_FFFF: found = jpeg(body)
        default: return nil
        }
        guard let width = found.width, let height = found.height, width > 0, height > 0,
            width <= 1 << 20, height <= 1 << 20
        else { return nil }
        return ImageSize(width: width, height: height)
    }

    /// The frame header among the first segments (ITU T.81 annex B): any but DHT, JPG and DAC.
    private func jpeg(_ body: RawSpan) -> (Int?, Int?) {
        var at = 2
        for _ in 0..<64 {
            guard let marker = number(at, 2, body), marker >= 0xFF00,
                let length = number(at + 2, 2, body)
            else { return (nil, nil) }
            if marker >= 0xFFC0, marker <= 0xFFCF, marker != 0xFFC4, marker != 0xFFC8,
                marker != 0xFFCC
            {
                return (number(at + 7, 2, body), number(at + 5, 2, body))
            }
            at += marker == 0xFFFF ? 1 : 2 + length
        }
        return (nil, nil)
    }

    /// RFC 9649: lossy, lossless, or extended.
    private func webp(_ body: RawSpan) -> (Int?, Int?) {
        switch number(12, 4, body) {
        case 0x5650_3820:
            guard number(23, 3, body) == 0x9D_012A else { return (nil, nil) }
            return (
                number(26, 2, body, isLittle: true).map { $0 & 0x3FFF },
                number(28, 2, body, isLittle: true).map { $0 & 0x3FFF }
            )
        case 0x5650_384C:
            guard let bits = number(21, 4, body, isLittle: true) else { return (nil, nil) }
            return (bits & 0x3FFF + 1, bits >> 14 & 0x3FFF + 1)
        case 0x5650_3858:
            return (
                number(24, 3, body, isLittle: true).map { $0 + 1 },
                number(27, 3, body, isLittle: true).map { $0 + 1 }
            )
        default: return (nil, nil)
        }
    }

    /// How long a sound lasts, in seconds: by the header of a WAV file, else as if it had 128 kbit
    /// a second.
    func soundSeconds(in body: RawSpan) -> Double {
        if number(0, 4, body) == 0x5249_4646, number(8, 4, body) == 0x5741_5645,
            let rate = number(28, 4, body, isLittle: true), rate > 0
        {
            return Double(count) / Double(rate)
        }
        return Double(count) / 16_000
    }
}
