// SPDX-License-Identifier: Apache-2.0

import Units

/// A response's header block in HTTP/2 (RFC 9113 section 8.3.2), field by field, as the same
/// `ResponseHead` that HTTP/1.1 gives.
public struct HTTP2ResponseBlock: ~Copyable {
    private let limits: HeadLimits
    private var list: HTTP2Fields
    /// Complete after `finish`.
    public private(set) var head = ResponseHead()

    /// Nothing has come. `limits.maxHead` counts as RFC 9113 section 6.5.2 does.
    public init(limits: HeadLimits) {
        self.limits = limits
        list = HTTP2Fields(.obsText, limits: limits)
    }

    /// What is wrong with it, as far as it has come.
    public var fault: HeadFault? { list.fault }
    /// As RFC 9113 section 6.5.2 counts it, whether it was kept or not.
    public var size: Int { list.size }
    /// A part of the head; empty once it was released.
    public func part(_ range: ByteRange) -> UnsafeRawBufferPointer { unsafe list.part(range) }

    /// Takes in the next line.
    public mutating func add(_ name: RawSpan, _ value: RawSpan) {
        guard list.admit(name, value) else { return }
        guard name.byteCount > 0, name.byte(0) == Byte.colon else {
            _ = list.add(name, value)
            return
        }
        guard name.equals(ByteRange(0, name.byteCount), ":status"), head.status == 0,
            list.fields.isEmpty, let status = Self.status(value)
        else { return list.fail(.malformedStatusLine) }
        head.status = status
    }

    /// Three digits, 100 to 599; nobody has asked for another protocol (RFC 9113 section 8.6).
    private static func status(_ value: RawSpan) -> Int? {
        guard value.byteCount == 3 else { return nil }
        var status = 0
        for offset in 0..<3 {
            guard value.byte(offset).isDigit else { return nil }
            status = status * 10 + Int(value.byte(offset) - Byte.zero)
        }
        return (100...599).contains(status) && status != 101 ? status : nil
    }

    /// All lines are here; `isWhole`: no content follows. False where there is a fault.
    public mutating func finish(isWhole: Bool, method: Method) -> Bool {
        guard fault == nil else { return false }
        if head.status == 0 { list.fail(.malformedStatusLine) }
        let length = list.contentLength()
        let isBodiless =
            head.status < 200 || head.status == 204 || head.status == 304 || method == .head
        if isBodiless || isWhole {
            if !isBodiless, let length, length > 0 { list.fail(.invalidLength) }
            head.framing = .none
        } else {
            head.framing = length.map { .length($0) } ?? .chunked
        }
        head.fields = list.fields
        return fault == nil
    }

    /// Gives the memory back; status and framing stay.
    public mutating func release() {
        list.release()
        head.fields = []
    }
}
