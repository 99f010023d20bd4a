// SPDX-License-Identifier: Apache-2.0

/// The four forms of a request target (RFC 9112 section 3.2).
public enum TargetForm: UInt8, Sendable {
    /// A path and perhaps a query.
    case origin
    /// A whole URI; `target` is its path and query alone.
    case absolute
    /// CONNECT: host and port.
    case authority
    /// OPTIONS for the server as a whole, also when asked by a URI without a path: `target` need
    /// not be looked at.
    case asterisk
}

/// A request's start line and fields, as offsets into the buffer it was parsed from.
///
/// Reused between messages: its array keeps its capacity.
public struct RequestHead: Sendable, Equatable {
    /// What the name means here.
    public var method = Method.other
    /// The method as received, a token.
    public var methodName = ByteRange()
    /// Path and query, whatever the form on the wire; visible ASCII.
    public var target = ByteRange()
    /// The form on the wire.
    public var targetForm = TargetForm.origin
    /// Host and perhaps port, checked: from an absolute target where there is one, else the Host
    /// field's value; empty only in HTTP/1.0.
    public var authority = ByteRange()
    /// 0 or 1; a higher minor version is read as 1 (RFC 9110 section 2.5).
    public var minorVersion: UInt8 = 1
    /// In the order received.
    public var fields: [Field] = []
    /// `.none`, `.length` or `.chunked`.
    public var framing = Framing.none
    /// Whether the client allows another request on the connection.
    public var keepAlive = true
    /// The client waits for 100 before it sends its content.
    public var expectsContinue = false

    /// Empty, to be parsed into.
    public init() {}

    /// The first field of that name.
    public func first(_ id: FieldName) -> Field? { fields.first(id) }
    /// How many field lines have that name.
    public func count(_ id: FieldName) -> Int { fields.count(id) }

    mutating func clear() {
        method = .other
        methodName = ByteRange()
        target = ByteRange()
        targetForm = .origin
        authority = ByteRange()
        minorVersion = 1
        fields.removeAll(keepingCapacity: true)
        framing = .none
        keepAlive = true
        expectsContinue = false
    }
}

extension [Field] {
    func first(_ id: FieldName) -> Field? {
        for index in indices where self[index].id == id { return self[index] }
        return nil
    }
    func count(_ id: FieldName) -> Int {
        var count = 0
        for index in indices where self[index].id == id { count += 1 }
        return count
    }
}
