// SPDX-License-Identifier: Apache-2.0

/// One field line of a head, as offsets into the buffer it was parsed from.
public struct Field: Sendable, Equatable {
    /// What the name means here.
    public var id: FieldName
    /// The name as received.
    public var name: ByteRange
    /// Without the whitespace around it; may be empty.
    public var value: ByteRange

    /// A field at these offsets.
    public init(id: FieldName, name: ByteRange, value: ByteRange) {
        self.id = id
        self.name = name
        self.value = value
    }
}
