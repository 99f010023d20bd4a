// SPDX-License-Identifier: Apache-2.0

public import Units
import Wire

/// What an error body says.
public struct ErrorDetail: Sendable, Equatable {
    /// For people: what was wrong, with the numbers compared.
    public var message: String
    /// The kind of the error in the words of the dialect.
    public var type: String
    /// The member that was wrong.
    public var param: String?
    /// The reason as programs read it.
    public var code: String
    /// The request's name, for the dialects whose errors repeat it.
    public var requestID: String?

    /// `param` is nil when the fault is not about one member.
    public init(
        message: String, type: String, param: String? = nil, code: String,
        requestID: String? = nil
    ) {
        self.message = message
        self.type = type
        self.param = param
        self.code = code
        self.requestID = requestID
    }
}

/// How a family of dialects spells an error.
public enum ErrorShape: Sendable {
    /// `{"error": {"message", "type", "param", "code"}}`, all four always there: SDKs read them by
    /// name.
    case openAI
    /// `{"type": "error", "error": {"type", "message"}, "request_id"}`; the code stands in
    /// `error.details.error_code`, where newer SDKs look for it.
    case anthropic
    /// `{"error": "message", "error_type": "type"}`.
    case textGeneration
    /// `{"error": "message"}`.
    case triton

    /// Appends the body of an error answer; as the data of an event it says the same in a stream.
    public func write(_ detail: ErrorDetail, into buffer: inout ByteBuffer) {
        switch self {
        case .openAI:
            JSONWriter.write(into: &buffer) { json in
                json.beginObject()
                json.key("error")
                json.beginObject()
                json.member("message", detail.message)
                json.member("type", detail.type)
                json.member("param", detail.param)
                json.member("code", detail.code)
                json.endObject()
                json.endObject()
            }
        case .anthropic:
            JSONWriter.write(into: &buffer) { json in
                json.beginObject()
                json.member("type", "error" as StaticString)
                json.key("error")
                json.beginObject()
                json.member("type", detail.type)
                json.member("message", detail.message)
                json.key("details")
                json.beginObject()
                json.member("error_code", detail.code)
                json.endObject()
                json.endObject()
                json.member("request_id", detail.requestID)
                json.endObject()
            }
        case .textGeneration, .triton:
            JSONWriter.write(into: &buffer) { json in
                json.beginObject()
                json.member("error", detail.message)
                if self == .textGeneration { json.member("error_type", detail.type) }
                json.endObject()
            }
        }
    }
}
