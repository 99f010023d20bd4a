// SPDX-License-Identifier: Apache-2.0

import Wire

/// Why a body is refused with 400, with the member that is wrong.
public enum BodyFault: Error, Sendable, Equatable {
    /// Not JSON, from the byte at this offset on.
    case malformedJSON(offset: Int)
    case tooDeep(limit: Int)
    case notAnObject
    case missing(Member)
    case empty(Member)
    /// Given twice, where engines would differ about which one counts.
    case duplicate(Member)
    case wrongType(Member, expected: JSONKind)
    /// An element of an array, counted from 0.
    case wrongElement(Member, index: Int, expected: JSONKind)
    case outOfRange(Member, ClosedRange<Int>)
    /// More elements than any request has.
    case tooMany(Member, limit: Int)
    /// It is not a client's to say.
    case notAllowed(Member)

    /// What a member should have been.
    public enum JSONKind: String, Sendable {
        case string = "a string"
        case boolean = "a boolean"
        case integer = "an integer"
        case object = "an object"
        case array = "an array"
        case contents = "an object whose content is a string, null or an array of parts"
        case prompts = "a string, or an array of strings, of token ids or of arrays of token ids"
        case ids = "an array of token ids"
        case mixed = "a string or a token id"
        case items = "a string or an array of items"
        case texts = "a string or an array of text blocks"
    }

    init(_ fault: JSONFault) {
        switch fault {
        case .malformed(let at), .endsEarly(let at), .badText(let at):
            self = .malformedJSON(offset: at)
        case .tooDeep(let limit): self = .tooDeep(limit: limit)
        }
    }

    /// For people; it never repeats what the client sent.
    public var message: String {
        switch self {
        case .malformedJSON(let offset):
            return "The body is not valid JSON: error at byte \(offset)."
        case .tooDeep(let limit): return "The body is nested deeper than \(limit) levels."
        case .notAnObject: return "The body must be a JSON object."
        case .missing(let member): return "'\(member.name)' is required."
        case .empty(let member): return "'\(member.name)' must not be empty."
        case .duplicate(let member): return "'\(member.name)' is given more than once."
        case .wrongType(let member, let expected):
            return "'\(member.name)' must be \(expected.rawValue)."
        case .wrongElement(let member, let index, let expected):
            return "'\(member.name)[\(index)]' must be \(expected.rawValue)."
        case .outOfRange(let member, let range):
            return "'\(member.name)' must be between \(range.lowerBound) and \(range.upperBound)."
        case .tooMany(let member, let limit):
            return "'\(member.name)' has more than \(limit) elements."
        case .notAllowed(let member): return "'\(member.name)' is not allowed."
        }
    }

    /// The member for the error's `param`.
    public var param: String? {
        switch self {
        case .malformedJSON, .tooDeep, .notAnObject: return nil
        case .missing(let member), .empty(let member), .duplicate(let member),
            .wrongType(let member, _), .wrongElement(let member, _, _), .outOfRange(let member, _),
            .tooMany(let member, _), .notAllowed(let member):
            return member.name.description
        }
    }
}
