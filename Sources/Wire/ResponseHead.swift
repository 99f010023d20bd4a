// SPDX-License-Identifier: Apache-2.0

/// A response's status line and fields, as offsets into the buffer it was parsed from.
///
/// Reused between messages: its array keeps its capacity.
public struct ResponseHead: Sendable, Equatable {
    /// 100 to 599; below 200 another head follows.
    public var status = 0
    /// May be empty, and may hold obs-text.
    public var reason = ByteRange()
    /// 0 or 1; a higher minor version is read as 1 (RFC 9110 section 2.5).
    public var minorVersion: UInt8 = 1
    /// In the order received.
    public var fields: [Field] = []
    /// How the end of the content is found, with the request's method considered.
    public var framing = Framing.none
    /// Whether the connection can take another request after this response.
    public var keepAlive = true

    /// Empty, to be parsed into.
    public init() {}

    /// The first field of that name.
    public func first(_ id: FieldName) -> Field? { fields.first(id) }
    /// How many field lines have that name.
    public func count(_ id: FieldName) -> Int { fields.count(id) }

    mutating func clear() {
        status = 0
        reason = ByteRange()
        minorVersion = 1
        fields.removeAll(keepingCapacity: true)
        framing = .none
        keepAlive = true
    }
}
