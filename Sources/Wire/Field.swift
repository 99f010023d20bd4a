// SPDX-License-Identifier: Apache-2.0

/// One field line of a head, as offsets into the buffer it was parsed from.
package struct Field: Sendable, Equatable {
    /// What the name means here.
    package var id: FieldName
    /// The name as received.
    package var name: ByteRange
    /// Without the whitespace around it; may be empty.
    package var value: ByteRange

    /// A field at these offsets.
    package init(id: FieldName, name: ByteRange, value: ByteRange) {
        self.id = id
        self.name = name
        self.value = value
    }
}
