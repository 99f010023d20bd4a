// SPDX-License-Identifier: Apache-2.0

public import Units

extension [UInt8] {
    /// The bytes as a span, for the time of the call.
    public func withRaw<Result, Fault: Error>(
        _ body: (RawSpan) throws(Fault) -> Result
    ) throws(Fault) -> Result {
        let span = span
        return try unsafe body(span.bytes)
    }
}

extension ByteBuffer {
    /// A copy of the bytes present.
    public var array: [UInt8] { unsafe Array(readable) }
    /// The bytes present as text.
    public var string: String { String(decoding: array, as: UTF8.self) }
}
