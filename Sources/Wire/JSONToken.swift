// SPDX-License-Identifier: Apache-2.0

/// One step through a JSON text.
public enum JSONToken: Sendable, Equatable {
    case beginObject
    case endObject
    case beginArray
    case endArray
    /// A member's name with its colon; the member's value is next.
    case key(JSONString)
    case string(JSONString)
    /// Where the number's digits stand; `JSONNumber` reads them.
    case number(Range<Int>)
    case bool(Bool)
    case null
    /// The text is over: exactly one value, and nothing but white space around it.
    case end
}
