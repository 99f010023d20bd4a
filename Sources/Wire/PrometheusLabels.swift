// SPDX-License-Identifier: Apache-2.0

/// Labels as they are written: rendered once, when a series is made, and copied with each scrape.
public struct PrometheusLabels: Sendable, Hashable {
    /// `name="value",name="value"`, without the braces.
    public private(set) var rendered: [UInt8] = []

    /// None.
    public init() {}
    /// The pairs in their order, under the conditions of `append`.
    public init(_ pairs: [(name: StaticString, value: String)]) {
        for pair in pairs { append(pair.name, pair.value) }
    }

    /// Whether there is no label.
    public var isEmpty: Bool { rendered.isEmpty }

    /// `name` matches `[a-zA-Z_][a-zA-Z0-9_]*` and is not there yet; `value` may be anything.
    public mutating func append(_ name: StaticString, _ value: String) {
        if !rendered.isEmpty { rendered.append(Byte.comma) }
        for offset in 0..<name.utf8CodeUnitCount { unsafe rendered.append(name.utf8Start[offset]) }
        rendered.append(Byte.equals)
        rendered.append(Byte.quote)
        for byte in value.utf8 {
            switch byte {
            case Byte.backslash, Byte.quote:
                rendered.append(Byte.backslash)
                rendered.append(byte)
            case Byte.lineFeed:
                rendered.append(Byte.backslash)
                rendered.append(UInt8(ascii: "n"))
            default:
                rendered.append(byte)
            }
        }
        rendered.append(Byte.quote)
    }
}
