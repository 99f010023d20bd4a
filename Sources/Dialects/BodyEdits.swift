// SPDX-License-Identifier: Apache-2.0

public import Units
import Wire

/// What is to be different in the body that the engine gets.
public struct BodyEdits: Sendable, Equatable {
    /// What the engine calls the model.
    public var model: String?
    /// The most tokens of one choice, at least 1: set under every name that the body uses, and
    /// under one that every engine knows.
    public var bound: Tokens?
    /// The stream is to end with the usage.
    public var askUsage = false
    /// The engine's own order of requests. What a client says of it never gets there.
    public var priority: EnginePriority?

    /// Without arguments, nothing that a client sent well changes.
    public init(
        model: String? = nil, bound: Tokens? = nil, askUsage: Bool = false,
        priority: EnginePriority? = nil
    ) {
        self.model = model
        self.bound = bound
        self.askUsage = askUsage
        self.priority = priority
    }

    var atLeastOne: Tokens? { bound.map { max($0, Tokens(1)) } }
}

/// Whether a body had to be written anew.
public enum EditOutcome: Sendable, Equatable {
    /// The original says it all; nothing was appended.
    case unchanged
    /// The edited body was appended.
    case edited
}

/// Appends `body` with `edits` to `buffer`; all other members stay as they are, byte by byte.
///
/// Always removed are members that are internal to a deployment and all but the last of repeated
/// ones. Where the only bound stands under a name that some engines ignore, it is added under the
/// common one.
public func apply(
    body: RawSpan, inspection: borrowing Inspection, edits: BodyEdits, into buffer: inout ByteBuffer
) -> EditOutcome {
    var splice = Splice()
    splice.insertMembers(body, inspection, edits, &buffer)
    for place in inspection.places {
        if place.isNested, !place.member.isBound {
            splice.completeObject(place, body, inspection, edits, &buffer)
        } else if place.isNested {
            splice.lower(place, edits, body, &buffer)
        } else if place.member.isInternal || place.isSuperseded {
            splice.remove(place, body, &buffer)
        } else {
            splice.change(place, body, inspection, edits, &buffer)
        }
    }
    return splice.finish(body, &buffer)
}
