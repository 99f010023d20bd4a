// SPDX-License-Identifier: Apache-2.0

import CPage
import Transport
import Units

/// The page for people, put together once: markup with its style and its script inside, and a
/// policy by which a browser runs these two texts and no other (Content Security Policy level 3).
struct BrowserPage {
    let text: String
    /// The value of `Content-Security-Policy`.
    let contentPolicy: String

    init(digest: Digest) {
        let style = unsafe Self.text(penstock_page_style())
        let script = unsafe Self.text(penstock_page_script())
        let (head, rest) = Self.cut(unsafe Self.text(penstock_page_markup()), behind: "<style>")
        let (middle, tail) = Self.cut(rest, behind: "<script type=\"module\">")
        text = head + style + middle + script + tail
        contentPolicy =
            "default-src 'none'; script-src 'sha256-\(Self.hash(script, digest))'; "
            + "style-src 'sha256-\(Self.hash(style, digest))'; connect-src 'self'; "
            + "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
            + "require-trusted-types-for 'script'; trusted-types 'none'"
    }

    private static func text(_ text: penstock_text) -> String {
        unsafe String(
            decoding: UnsafeRawBufferPointer(start: text.bytes, count: text.count), as: UTF8.self)
    }

    private static func cut(
        _ text: String, behind mark: String
    ) -> (Substring, Substring) {
        guard let place = text.firstRange(of: mark) else { broken("the page has its marks") }
        return (text[..<place.upperBound], text[place.upperBound...])
    }

    private static func cut(
        _ text: Substring, behind mark: String
    ) -> (Substring, Substring) {
        cut(String(text), behind: mark)
    }

    private static func hash(_ text: String, _ digest: Digest) -> String {
        var text = text
        let words = text.withUTF8 { unsafe digest.sha256(UnsafeRawBufferPointer($0)) }
        return base64(
            (0..<32).map { UInt8(truncatingIfNeeded: words[$0 / 8] >> (56 - $0 % 8 * 8)) })
    }

    /// RFC 4648 section 4.
    static func base64(_ bytes: [UInt8]) -> String {
        let symbols = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")
        var text = ""
        for start in stride(from: 0, to: bytes.count, by: 3) {
            let group = bytes[start..<min(start + 3, bytes.count)]
            var bits = group.reduce(0) { $0 << 8 | Int($1) }
            bits <<= 8 * (3 - group.count)
            for place in 0..<4 {
                text.append(place > group.count ? "=" : symbols[bits >> (18 - 6 * place) & 63])
            }
        }
        return text
    }
}
