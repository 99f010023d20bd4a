// SPDX-License-Identifier: Apache-2.0

import Units

/// The identifier that clients, engines, logs and people know a request by: 1 to 128 visible ASCII
/// bytes.
struct RequestName: Sendable, Equatable {
    static let longest = 128

    private var bytes: [128 of UInt8]
    private(set) var count: Int

    /// The client's own, when it is acceptable.
    init?(_ received: UnsafeRawBufferPointer) {
        guard (1...Self.longest).contains(received.count) else { return nil }
        bytes = [128 of UInt8](repeating: 0)
        count = received.count
        for place in 0..<count {
            let byte = unsafe received[place]
            guard byte > 0x20, byte < 0x7F else { return nil }
            bytes[place] = byte
        }
    }

    /// A new one: 128 bits as 32 hexadecimal digits.
    init(random: inout SplitMix64) {
        bytes = [128 of UInt8](repeating: 0)
        count = 32
        var place = 0
        for _ in 0..<2 {
            var word = random.next()
            for _ in 0..<16 {
                let digit = UInt8(word & 15)
                bytes[place] = digit < 10 ? 0x30 + digit : 0x57 + digit
                word >>= 4
                place += 1
            }
        }
    }

    /// A name as an operator's question spells it.
    init?(_ text: String) {
        var text = text
        let name = text.withUTF8 { unsafe RequestName(UnsafeRawBufferPointer($0)) }
        guard let name else { return nil }
        self = name
    }

    func append(to buffer: inout ByteBuffer) {
        let span = bytes.span
        unsafe buffer.append(span.bytes.extracting(0..<count))
    }

    var text: String {
        let span = bytes.span
        return unsafe span.bytes.extracting(0..<count).withUnsafeBytes {
            unsafe String(decoding: $0, as: UTF8.self)
        }
    }

    static func == (left: RequestName, right: RequestName) -> Bool {
        guard left.count == right.count else { return false }
        return (0..<left.count).allSatisfy { left.bytes[$0] == right.bytes[$0] }
    }
}
