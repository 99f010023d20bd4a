// SPDX-License-Identifier: Apache-2.0

import Units

/// A request's header block in HTTP/2 (RFC 9113 section 8.3.1), field by field, as the same
/// `RequestHead` that HTTP/1.1 gives: whoever reads it need not know the protocol.
public struct HTTP2RequestBlock: ~Copyable {
    private enum Pseudo {
        case method, scheme, authority, path
    }

    private let limits: HeadLimits
    private var list: HTTP2Fields
    /// Complete after `finish`.
    public private(set) var head = RequestHead()
    private var method: ByteRange?
    private var scheme: ByteRange?
    private var authority: ByteRange?
    private var path: ByteRange?
    private var host: ByteRange?

    /// Nothing has come. `limits.maxHead` counts as RFC 9113 section 6.5.2 does: 32 bytes for each
    /// line beside its own.
    public init(limits: HeadLimits) {
        self.limits = limits
        list = HTTP2Fields(.ascii, limits: limits)
    }

    /// What is wrong with it, as far as it has come.
    public var fault: HeadFault? { list.fault }
    /// As RFC 9113 section 6.5.2 counts it, whether it was kept or not.
    public var size: Int { list.size }
    /// Memory held, in bytes.
    public var capacity: Int { list.bytes.capacity }
    /// A part of the head; empty once it was released.
    public func part(_ range: ByteRange) -> UnsafeRawBufferPointer { unsafe list.part(range) }

    /// Takes in the next line.
    public mutating func add(_ name: RawSpan, _ value: RawSpan) {
        guard list.admit(name, value) else { return }
        if name.byteCount > 0, name.byte(0) == Byte.colon { return addPseudo(name, value) }
        guard let field = list.add(name, value) else { return }
        switch field.id {
        case .host:
            if host != nil { list.fail(.duplicateHost) }
            host = field.value
        case .expect:
            let whole = ByteRange(0, value.byteCount)
            if value.equals(whole, ignoringCase: "100-continue") {
                head.expectsContinue = true
            } else {
                list.fail(.unknownExpectation)
            }
        default: break
        }
    }

    /// Each once, before all others, and no unknown one.
    private mutating func addPseudo(_ name: RawSpan, _ value: RawSpan) {
        guard let pseudo = Self.pseudo(name), list.fields.isEmpty, isMissing(pseudo) else {
            return list.fail(.malformedField)
        }
        let count = value.byteCount
        switch pseudo {
        case .method:
            guard value.isToken(ByteRange(0, count)) else {
                return list.fail(.malformedRequestLine)
            }
            method = list.keep(value)
        case .scheme: scheme = list.keep(value)
        case .authority: authority = list.keep(value)
        case .path:
            guard count <= limits.maxTarget else {
                return list.fail(.targetTooLong(limit: limits.maxTarget))
            }
            guard count > 0, value.targetEnd(from: 0, to: count) == count else {
                return list.fail(.malformedTarget)
            }
            path = list.keep(value)
        }
    }

    private static func pseudo(_ name: RawSpan) -> Pseudo? {
        let whole = ByteRange(0, name.byteCount)
        if name.equals(whole, ":method") { return .method }
        if name.equals(whole, ":path") { return .path }
        if name.equals(whole, ":scheme") { return .scheme }
        if name.equals(whole, ":authority") { return .authority }
        return nil
    }

    private func isMissing(_ pseudo: Pseudo) -> Bool {
        switch pseudo {
        case .method: method == nil
        case .scheme: scheme == nil
        case .authority: authority == nil
        case .path: path == nil
        }
    }

    /// All lines are here; `isWhole`: no content follows. False where there is a fault.
    public mutating func finish(isWhole: Bool) -> Bool {
        guard fault == nil else { return false }
        checkTarget()
        checkHost()
        list.joinCookies()
        let length = list.contentLength()
        if isWhole {
            if let length, length > 0 { list.fail(.invalidLength) }
            head.framing = .none
        } else {
            head.framing = length.map { .length($0) } ?? .chunked
        }
        // Who sends no content waits for nothing (RFC 9110 section 10.1.1).
        if isWhole || length == 0 { head.expectsContinue = false }
        head.fields = list.fields
        return fault == nil
    }

    private mutating func checkTarget() {
        guard let method else { return list.fail(.malformedRequestLine) }
        head.methodName = method
        head.method = unsafe Method(list.bytes.readable.bytes, method)
        if head.method == .connect {
            // RFC 9113 section 8.5: an authority and nothing else.
            guard let authority, scheme == nil, path == nil else {
                return list.fail(.malformedRequestLine)
            }
            head.target = authority
            head.targetForm = .authority
            return
        }
        guard let path, scheme != nil else { return list.fail(.malformedRequestLine) }
        head.target = path
        let first = unsafe list.bytes.readable.bytes.byte(Int(path.start))
        if first == Byte.asterisk, path.count == 1, head.method == .options {
            head.targetForm = .asterisk
        } else if first != Byte.slash {
            list.fail(.malformedTarget)
        }
    }

    /// One host, said once or twice in the same way (RFC 9113 section 8.3.1).
    private mutating func checkHost() {
        guard let named = authority ?? host else { return list.fail(.missingHost) }
        guard unsafe Authority(list.bytes.readable.bytes, named) != nil else {
            return list.fail(.invalidHost)
        }
        if let host, authority != nil,
            unsafe !list.part(host).elementsEqual(list.part(named))
        {
            return list.fail(.duplicateHost)
        }
        head.authority = named
    }

    /// Gives the memory back; the method and the framing stay.
    public mutating func release() {
        list.release()
        head.fields = []
    }
}
