// SPDX-License-Identifier: Apache-2.0

import Wire

/// What a token is, without comparing what it carries.
extension JSONToken {
    var isObject: Bool { if case .beginObject = self { true } else { false } }
    var isArray: Bool { if case .beginArray = self { true } else { false } }
    var isArrayEnd: Bool { if case .endArray = self { true } else { false } }
    var isNull: Bool { if case .null = self { true } else { false } }
}
