// SPDX-License-Identifier: Apache-2.0

/// What a complete response head means, once its bytes are known to be well-formed.
extension ResponseHead {
    /// Framing and what becomes of the connection (RFC 9112 section 6.3).
    mutating func applyFields(
        _ bytes: RawSpan, requestMethod: Method
    ) throws(HeadFault) {
        let deciding = try FramingFields(fields, bytes)
        let declared = try deciding.framing(bytes, minorVersion: minorVersion)
        keepAlive = deciding.keepsAlive(minorVersion: minorVersion)
        let neverHasContent = status < 200 || status == 204
        let tunnels = requestMethod == .connect && status < 300
        if neverHasContent || tunnels || status == 304 || requestMethod == .head {
            framing = .none
            // RFC 9110 section 8.6 and RFC 9112 section 6.1 forbid the announcement: who makes it
            // may send the content as well, and those bytes must not pass for the next response.
            if neverHasContent, declared != .none, declared != .length(0) { keepAlive = false }
        } else if declared == .none {
            framing = .untilClose
            keepAlive = false
        } else {
            framing = declared
        }
    }
}
