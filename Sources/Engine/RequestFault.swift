// SPDX-License-Identifier: Apache-2.0

import Units
import Wire

/// Why a request gets an error, in vLLM 0.32's words.
enum RequestFault: Error, Equatable {
    case notFound
    case wrongMethod(allowed: StaticText)
    case wrongContentType
    case emptyBody
    case notJSON(at: Int)
    case notObject
    case missing(StaticText)
    case wrongType(StaticText, Expected, input: String)
    case unknownModel(String, known: String)
    case boundBelowOne(Int)
    case boundAboveContext(Int, context: Int)
    case minimumAboveBound(Int, bound: Int)
    case choicesBelowOne(Int)
    case tooManyChoices(Int, limit: Int)
    case tooManyPrompts(limit: Int)
    case promptTooLong(tokens: Int, context: Int)
    /// The engine holds all it can, or was told to refuse.
    case busy

    /// What a member should have been, as pydantic names it.
    enum Expected: String {
        case integer = "int_type"
        case wholeNumber = "int_from_float"
        case integerText = "int_parsing"
        case boolean = "bool_type"
        case text = "string_type"
        case list = "list_type"
        case object = "dict_type"

        var message: String {
            switch self {
            case .integer: "Input should be a valid integer"
            case .wholeNumber:
                "Input should be a valid integer, got a number with a fractional part"
            case .integerText:
                "Input should be a valid integer, unable to parse string as an integer"
            case .boolean: "Input should be a valid boolean"
            case .text: "Input should be a valid string"
            case .list: "Input should be a valid list"
            case .object: "Input should be a valid dictionary"
            }
        }
    }

    var status: Int {
        switch self {
        case .notFound, .unknownModel: 404
        case .wrongMethod: 405
        case .busy: 503
        default: 400
        }
    }

    /// Appends the body of the answer.
    func write(to buffer: inout ByteBuffer, as kind: GenerationRequest.Kind = .chat) {
        switch self {
        case .notFound: buffer.append("{\"detail\":\"Not Found\"}")
        case .wrongMethod: buffer.append("{\"detail\":\"Method Not Allowed\"}")
        case _ where kind == .messages:
            JSONWriter.write(into: &buffer) { json in
                json.beginObject()
                json.member("type", "error" as StaticString)
                json.key("error")
                json.beginObject()
                json.member("type", type)
                json.member("message", message)
                json.endObject()
                json.endObject()
            }
        default:
            JSONWriter.write(into: &buffer) { json in
                json.beginObject()
                json.key("error")
                json.beginObject()
                json.member("message", message)
                json.member("type", type)
                json.member("param", parameter)
                json.member("code", status)
                json.endObject()
                json.endObject()
            }
        }
    }

    private var type: String {
        switch self {
        case .unknownModel: "NotFoundError"
        case .busy: "Service Unavailable"
        case .wrongContentType, .emptyBody, .notJSON, .notObject, .missing, .wrongType:
            "Bad Request"
        default: "BadRequestError"
        }
    }

    private var parameter: String? {
        switch self {
        case .emptyBody, .notObject: "body"
        case .notJSON(let at): "body.\(at)"
        case .missing(let name), .wrongType(let name, _, _): "body.\(name.text)"
        case .unknownModel: "model"
        case .boundBelowOne, .boundAboveContext: "max_tokens"
        case .promptTooLong: "input_tokens"
        default: nil
        }
    }

    private var message: String {
        switch self {
        case .notFound, .wrongMethod: ""
        case .wrongContentType:
            "1 validation error:\n  Unsupported Media Type: Only 'application/json' is allowed"
        case .emptyBody: invalid("missing", "body", "Field required", input: "None")
        case .notJSON(let at): invalid("json_invalid", "body.\(at)", "JSON decode error", input: "")
        case .notObject:
            invalid(
                "model_attributes_type", "body",
                "Input should be a valid dictionary or object to extract fields from", input: "")
        case .missing(let name):
            invalid("missing", "body.\(name.text)", "Field required", input: "<dict>")
        case .wrongType(let name, let expected, let input):
            invalid(expected.rawValue, "body.\(name.text)", expected.message, input: input)
        case .unknownModel(let name, let known):
            "The model `\(name)` does not exist. Valid aliases: \(known)."
        case .boundBelowOne(let value):
            "max_tokens must be at least 1, got \(value). (parameter=max_tokens, value=\(value))"
        case .boundAboveContext(let value, let context):
            "max_tokens=\(value) cannot be greater than max_model_len=\(context). "
                + "Please request fewer output tokens. (parameter=max_tokens, value=\(value))"
        case .minimumAboveBound(let value, let bound):
            "min_tokens must be less than or equal to max_tokens=\(bound), got \(value)."
        case .choicesBelowOne(let value): "n must be at least 1, got \(value)."
        case .tooManyChoices(let value, let limit):
            "n must be at most \(limit), got \(value). To increase this limit, set the "
                + "VLLM_MAX_N_SEQUENCES environment variable."
        case .tooManyPrompts(let limit): "A request has at most \(limit) prompts."
        case .promptTooLong(let tokens, let context):
            "This model's maximum context length is \(context) tokens. However, your prompt "
                + "contains at least \(tokens) input tokens, which exceeds this limit even "
                + "without any output tokens. Please reduce the length of the input prompt. "
                + "(parameter=input_tokens, value=\(tokens))"
        case .busy:
            "The engine is currently busy and cannot accept new requests. "
                + "Please try again later or on a different instance."
        }
    }

    private func invalid(
        _ type: String, _ place: String, _ message: String, input: String
    ) -> String {
        "1 validation error:\n  {'type': '\(type)', 'loc': '\(place)', 'msg': '\(message)', "
            + "'input': '\(input)'}"
    }
}

/// A literal that can be compared.
struct StaticText: Equatable, ExpressibleByStringLiteral {
    let literal: StaticString

    init(stringLiteral literal: StaticString) { self.literal = literal }

    var text: String { "\(literal)" }

    static func == (left: StaticText, right: StaticText) -> Bool { left.text == right.text }
}
