// SPDX-License-Identifier: Apache-2.0

/// What a complete request head means, once its bytes are known to be well-formed.
extension RequestHead {
    /// Finds the form of the target and narrows `target` to its path and query.
    mutating func checkTarget(_ bytes: RawSpan) throws(HeadFault) {
        let first = bytes.byte(Int(target.start))
        if method == .connect {
            guard Authority(bytes, target)?.hasPort == true else { throw .malformedTarget }
            targetForm = .authority
            authority = target
        } else if first == Byte.slash {
            targetForm = .origin
        } else if first == Byte.asterisk, target.count == 1, method == .options {
            targetForm = .asterisk
        } else {
            try takeAbsoluteForm(bytes)
        }
    }

    /// `http://authority/path?query`, which every server must accept (RFC 9112 section 3.2.2).
    private mutating func takeAbsoluteForm(_ bytes: RawSpan) throws(HeadFault) {
        let end = Int(target.end)
        guard let start = authorityStart(bytes) else { throw .malformedTarget }
        var at = start
        while at < end, bytes.byte(at) != Byte.slash, bytes.byte(at) != Byte.question { at += 1 }
        authority = ByteRange(start, at)
        // User information in an authority is refused by its `@`: RFC 9110 section 4.2.4.
        guard Authority(bytes, authority) != nil else { throw .invalidHost }
        guard at < end else {
            // A URI without a path asks for "/", which stands before the authority; with OPTIONS
            // for the whole server (RFC 9112 section 3.2.4).
            target = ByteRange(start - 1, start)
            targetForm = method == .options ? .asterisk : .absolute
            return
        }
        // A query right behind the authority has its "/" implied: as offsets into what was received
        // it cannot be told, and no client sends it.
        guard bytes.byte(at) == Byte.slash else { throw .malformedTarget }
        target = ByteRange(at, end)
        targetForm = .absolute
    }

    /// Behind `http://` or `https://`.
    private func authorityStart(_ bytes: RawSpan) -> Int? {
        let start = Int(target.start)
        for scheme in ["http", "https"] as [StaticString] {
            let colon = start + scheme.utf8CodeUnitCount
            guard colon + 3 <= Int(target.end),
                bytes.equals(ByteRange(start, colon), ignoringCase: scheme),
                bytes.byte(colon) == Byte.colon, bytes.byte(colon + 1) == Byte.slash,
                bytes.byte(colon + 2) == Byte.slash
            else { continue }
            return colon + 3
        }
        return nil
    }

    /// Host, framing, expectation and what becomes of the connection.
    mutating func applyFields(_ bytes: RawSpan) throws(HeadFault) {
        let deciding = try FramingFields(fields, bytes)
        try applyHost(deciding, bytes)
        framing = try deciding.framing(bytes, minorVersion: minorVersion)
        keepAlive = deciding.keepsAlive(minorVersion: minorVersion)
        // RFC 9110 section 10.1.1: an HTTP/1.0 client cannot mean it.
        if deciding.expectations > 0, minorVersion > 0 { try applyExpectations(bytes) }
    }

    /// RFC 9112 section 3.2: exactly one Host, which an absolute target overrules. An empty one is
    /// refused too: no URI that this server answers has an empty host (RFC 9110 section 4.2.1).
    private mutating func applyHost(
        _ deciding: FramingFields, _ bytes: RawSpan
    ) throws(HeadFault) {
        guard deciding.hosts <= 1 else { throw .duplicateHost }
        guard let host = deciding.host else {
            if minorVersion > 0 { throw .missingHost }
            return
        }
        guard Authority(bytes, host.value) != nil else { throw .invalidHost }
        if authority.isEmpty { authority = host.value }
    }

    private mutating func applyExpectations(_ bytes: RawSpan) throws(HeadFault) {
        for index in fields.indices where fields[index].id == .expect {
            guard bytes.equals(fields[index].value, ignoringCase: "100-continue") else {
                throw .unknownExpectation
            }
        }
        // Who has announced no content waits for nothing.
        expectsContinue = framing != .none && framing != .length(0)
    }
}
