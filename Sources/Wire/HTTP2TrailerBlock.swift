// SPDX-License-Identifier: Apache-2.0

import Units

/// A trailer section in HTTP/2, field by field, as complete lines of HTTP/1.1.
///
/// Only what may stand behind a message stays (RFC 9110 section 6.5.1): nothing that frames it or
/// routes it, and no pseudo-header field (RFC 9113 section 8.1).
public struct HTTP2TrailerBlock: ~Copyable {
    private var list: HTTP2Fields

    /// Nothing has come; over a limit is a fault.
    public init(maxBytes: Int, maxFields: Int) {
        list = HTTP2Fields(
            .obsText,
            limits: HeadLimits(maxTarget: 1, maxHead: max(1, maxBytes), maxFields: maxFields))
    }

    /// What is wrong with it, as far as it has come.
    public var fault: HeadFault? { list.fault }
    /// As RFC 9113 section 6.5.2 counts it, whether it was kept or not.
    public var size: Int { list.size }

    /// Takes in the next line; a pseudo-header field is no name.
    public mutating func add(_ name: RawSpan, _ value: RawSpan) {
        if list.admit(name, value) { _ = list.add(name, value) }
    }

    /// The lines, each with its CR LF.
    public var lines: [UInt8] {
        var lines: [UInt8] = []
        for field in list.fields where HTTP2Lines.mayTrail(field.id) {
            unsafe lines.append(contentsOf: list.part(field.name))
            lines.append(contentsOf: [Byte.colon, Byte.space])
            unsafe lines.append(contentsOf: list.part(field.value))
            lines.append(contentsOf: [Byte.carriageReturn, Byte.lineFeed])
        }
        return lines
    }
}
