// SPDX-License-Identifier: Apache-2.0

import Dialects
import TestSupport
import Testing
import Units

struct ErrorShapeTests {
    @Test func allFourMembersAreAlwaysThere() {
        var buffer = ByteBuffer()
        ErrorShape.openAI.write(
            ErrorDetail(message: "Say \"please\".", type: "tokens", code: "queue_full"),
            into: &buffer)
        #expect(
            buffer.string
                == #"{"error":{"message":"Say \"please\".","type":"tokens","param":null,"#
                + #""code":"queue_full"}}"#
        )
    }

    @Test func theMemberThatWasWrongIsNamed() {
        let fault = BodyFault.missing(.messages)
        var buffer = ByteBuffer()
        Dialect.chatCompletions.errors.write(
            ErrorDetail(
                message: fault.message, type: "invalid_request_error", param: fault.param,
                code: "invalid_request"), into: &buffer)
        #expect(JSONValue(buffer.array)?["error"]?["param"] == .string("messages"))
    }
}
