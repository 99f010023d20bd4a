// SPDX-License-Identifier: Apache-2.0

public import Policy

/// What the store knows a limit by, one of its kind among those of a request: its scope, its kind
/// and whether it is the calendar's.
public struct LimitCode: Hashable, Sendable {
    private let raw: UInt16

    /// Of the limits of one scope, no two have the same kind and form.
    public init(_ kind: LimitKind, _ scope: LimitScope, isCalendar: Bool) {
        let place = LimitScope.allCases.firstIndex(of: scope) ?? 0
        raw = UInt16(place << 8 | kind.index << 1 | (isCalendar ? 1 : 0))
    }

    /// As it stands in a store; nil for what is no code.
    public init?(_ text: String) {
        guard let known = Self.codes[text] else { return nil }
        self = known
    }

    /// `tm` are a tenant's tokens per minute, `tm.` those of the calendar's minute, `o:tm` its
    /// organisation's.
    public var text: String {
        let kind = LimitKind.at(Int(raw >> 1 & 0x7F))
        return Self.prefix(LimitScope.allCases[Int(raw >> 8)]) + Self.letter(kind.quantity)
            + Self.letter(kind.window) + (raw & 1 == 1 ? "." : "")
    }

    private static let codes: [String: LimitCode] = {
        var codes: [String: LimitCode] = [:]
        for scope in LimitScope.allCases {
            for kind in LimitKind.allCases {
                for isCalendar in [false, true] {
                    let code = LimitCode(kind, scope, isCalendar: isCalendar)
                    codes[code.text] = code
                }
            }
        }
        return codes
    }()

    private static func prefix(_ scope: LimitScope) -> String {
        switch scope {
        case .organisation: "o:"
        case .team: "t:"
        case .tenant: ""
        case .model: "m:"
        case .key: "k:"
        }
    }

    private static func letter(_ quantity: LimitQuantity) -> String {
        switch quantity {
        case .tokens: "t"
        case .input: "i"
        case .output: "o"
        case .requests: "r"
        case .cost: "c"
        case .concurrent: "open"
        }
    }

    private static func letter(_ window: LimitWindow?) -> String {
        switch window {
        case .second: "s"
        case .minute: "m"
        case .hour: "h"
        case .day: "d"
        case .week: "w"
        case .month: "M"
        case nil: ""
        }
    }
}
