// SPDX-License-Identifier: Apache-2.0

/// The characters by which byte-level vocabularies spell bytes: those that print stand for
/// themselves, the others for U+0100 and what follows, in order.
enum ByteAlphabet {
    /// The byte of each character below U+0144; nil for what spells none.
    private static let bytes: [UInt8?] = {
        var bytes = [UInt8?](repeating: nil, count: 0x144)
        var next = 0x100
        for byte in 0..<256 {
            switch byte {
            case 0x21...0x7E, 0xA1...0xAC, 0xAE...0xFF: bytes[byte] = UInt8(byte)
            default:
                bytes[next] = UInt8(byte)
                next += 1
            }
        }
        return bytes
    }()

    /// The bytes that `spelled` stands for; nil where a character spells none.
    static func bytes(_ spelled: [UInt8]) -> [UInt8]? {
        unsafe spelled.withUnsafeBytes { raw in
            let text = unsafe Text(raw)
            var found: [UInt8] = []
            found.reserveCapacity(text.count)
            var at = 0
            while at < text.count {
                let lead = text.byte(at)
                let (code, length) = lead < 0x80 ? (UInt32(lead), 1) : text.code(at, lead)
                guard code < 0x144, let byte = bytes[Int(code)] else { return nil }
                found.append(byte)
                at += length
            }
            return found
        }
    }
}
