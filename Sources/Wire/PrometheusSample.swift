// SPDX-License-Identifier: Apache-2.0

/// One label of a sample, as offsets into the text.
public struct PrometheusLabel: Sendable, Equatable {
    /// `[a-zA-Z_][a-zA-Z0-9_]*`
    public var name: ByteRange
    /// Between the quotes, as received.
    public var value: ByteRange
    /// Whether `value` holds escapes: `\\`, `\"` or `\n`.
    public var isEscaped: Bool

    /// The value with its escapes resolved and malformed UTF-8 repaired.
    public func text(_ bytes: RawSpan) -> String {
        var text: [UInt8] = []
        text.reserveCapacity(value.count)
        var isEscape = false
        for offset in value.range {
            let byte = bytes.byte(offset)
            if isEscape {
                text.append(byte == UInt8(ascii: "n") ? Byte.lineFeed : byte)
                isEscape = false
            } else if byte == Byte.backslash {
                isEscape = true
            } else {
                text.append(byte)
            }
        }
        return String(decoding: text, as: UTF8.self)
    }
}

/// One line with a value, as offsets into the text. Reused: its array keeps its capacity.
public struct PrometheusSample: Sendable, Equatable {
    /// `[a-zA-Z_:][a-zA-Z0-9_:]*`
    public var name = ByteRange()
    /// In the order received; a name may come twice.
    public var labels: [PrometheusLabel] = []
    /// May be infinite or not a number.
    public var value = 0.0

    /// Empty, to be read into.
    public init() {}

    /// The label of that name.
    public func label(_ name: StaticString, _ bytes: RawSpan) -> PrometheusLabel? {
        for index in labels.indices where bytes.equals(labels[index].name, name) {
            return labels[index]
        }
        return nil
    }
}
