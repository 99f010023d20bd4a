// SPDX-License-Identifier: Apache-2.0

import Policy
import Units

extension Keys {
    /// Who shares limits.
    static let organisations: [Key] =
        [
            Key(
                "organisations", .entries(1...1_000), .absent, .reloadable,
                "Who shares limits: the requests of all tenants of an organisation are counted "
                    + "against its limits, those of a team against the team's too. One request is "
                    + "checked against all limits that hold for it in one step."),
            Key(
                "organisations[].id", .scalar(.name), .required, .reloadable,
                "The organisation's name, in the store and on admin pages."),
            Key(
                "organisations[].limits", .section, .filled, .reloadable,
                "What all of its tenants may use together."),
        ] + limits("organisations[].limits") + [
            Key(
                "organisations[].teams", .entries(1...64), .absent, .reloadable,
                "Parts of the organisation with limits of their own."),
            Key(
                "organisations[].teams[].id", .scalar(.name), .required, .reloadable,
                "The team's name, one of its kind in the organisation."),
            Key(
                "organisations[].teams[].limits", .section, .filled, .reloadable,
                "What all tenants of the team may use together."),
        ] + limits("organisations[].teams[].limits")

    /// Of single models and keys.
    static let narrowLimits: [Key] =
        [
            Key(
                "tenants[].organisation", .scalar(.reference(.organisation)), .absent,
                .reloadable, "Whose limits its requests are counted against, beside its own."),
            Key(
                "tenants[].team", .scalar(.reference(.team)), .absent, .reloadable,
                "The same of a team of that organisation."),
            Key(
                "tenants[].model_limits", .entries(1...64), .absent, .reloadable,
                "What the tenant may use of single models, beside `limits`."),
            Key(
                "tenants[].model_limits[].model", .scalar(.reference(.model)), .required,
                .reloadable, "One of its `models`."),
        ] + limits("tenants[].model_limits[]") + [
            Key(
                "tenants[].key_limits", .entries(1...65), .absent, .reloadable,
                "What each of the tenant's keys may use, beside `limits`."),
            Key(
                "tenants[].key_limits[].key", .scalar(.keyHash), .absent, .reloadable,
                "One of its `keys`; without it each key that has no entry of its own is meant, "
                    + "every one apart."),
        ] + limits("tenants[].key_limits[]")

    /// The limits themselves, as keys of the mapping at `path`.
    static func limits(_ path: String) -> [Key] {
        LimitKind.allCases.map { limit($0, path) } + [
            Key(
                "\(path).calendar",
                .list(.choice(LimitWindow.allCases.map(\.word), later: []), 0...6),
                .stated("`day`, `week`, `month`"), .reloadable,
                "The windows that begin and end with the calendar's, and with which all of the "
                    + "limit comes back at once; the others slide: what was used comes back "
                    + "evenly."),
            Key(
                "\(path).time_zone", .scalar(.timeZone), .stated("`UTC`"), .reloadable,
                "Whose calendar, by its IANA name; weeks begin on Mondays."),
            Key(
                "\(path).burst", .section, .absent, .reloadable,
                "What may come at once, where that is less than what the shortest sliding "
                    + "window of the quantity holds."),
        ]
            + LimitQuantity.allCases.filter { $0 != .concurrent }.map { quantity in
                Key(
                    "\(path).burst.\(quantity.word)", .scalar(scalar(quantity)), .absent,
                    .reloadable, "Of \(unit(quantity))."
                )
            }
    }

    static func limit(_ kind: LimitKind, _ path: String) -> Key {
        let meaning: String
        switch (kind.quantity, kind.window?.word ?? "") {
        case (.tokens, let window): meaning = "Input and output together, in a \(window)."
        case (.input, let window): meaning = "Input alone, in a \(window)."
        case (.output, let window): meaning = "Output alone, in a \(window)."
        case (.requests, let window): meaning = "Requests in a \(window)."
        case (.cost, let window):
            meaning = "What requests cost in a \(window), at the models' prices."
        case (.concurrent, _): meaning = "Requests in flight at once."
        }
        return Key(
            "\(path).\(kind.rawValue)", .scalar(scalar(kind.quantity)), .absent, .reloadable,
            meaning)
    }

    private static func scalar(_ quantity: LimitQuantity) -> Scalar {
        switch quantity {
        case .tokens, .input, .output: .integer(1...1_000_000_000_000, unit: "tokens")
        case .requests: .integer(1...1_000_000_000_000, unit: "requests")
        case .cost: .decimal(0.01...100_000_000, unit: "currency units")
        case .concurrent: .integer(1...1_000_000, unit: "requests")
        }
    }

    private static func unit(_ quantity: LimitQuantity) -> String {
        switch quantity {
        case .tokens: "input and output together"
        case .input: "input"
        case .output: "output"
        case .requests, .concurrent: "requests"
        case .cost: "cost"
        }
    }
}
