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

    /// `param` is nil when the fault is not about one member.
    public init(message: String, type: String, param: String? = nil, code: String) {
        self.message = message
        self.type = type
        self.param = param
        self.code = code
    }
}

/// How a family of dialects spells an error.
public enum ErrorShape: Sendable {
    /// `{"error": {"message", "type", "param", "code"}}`, all four always there: SDKs read them by
    /// name.
    case openAI

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
        }
    }
}
