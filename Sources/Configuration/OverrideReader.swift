// SPDX-License-Identifier: Apache-2.0

public import Policy
public import Units

/// Reads what an operator sends to override a tenant's limits: JSON with the configuration's own
/// keys, bounds and messages.
///
///     {"limits": {"tokens_per_minute": 5000}, "expires_in": "2h"}
public enum OverrideReader {
    /// Bytes of a body.
    public static let maxBytes = 16_384

    public struct Override: Sendable, Equatable {
        /// Nil: what was overridden is as configured again.
        public let limits: LimitOverride?
        /// Nil: until it is revoked.
        public let expiresIn: Duration?
    }

    /// - Throws: Every mistake that was found.
    public static func read(_ bytes: [UInt8]) throws(ConfigurationFault) -> Override {
        var mistakes = MistakeLog(file: "body")
        guard bytes.count <= maxBytes else {
            mistakes.add("larger than \(maxBytes) bytes", at: .start)
            throw mistakes.fault
        }
        guard let tree = Composer.compose(bytes, &mistakes) else { throw mistakes.fault }
        // No environment: an operator of limits is not one of the machine.
        var checker = Checker(environment: { _ in nil }, folder: "", mistakes: mistakes)
        let root = checker.check(tree, .override)
        guard checker.mistakes.isEmpty else { throw checker.mistakes.fault }
        let override = LimitOverride(checked(root.section("limits")))
        return Override(
            limits: override.words.isEmpty ? nil : override,
            expiresIn: root.duration("expires_in"))
    }
}

extension LimitOverride {
    fileprivate init(_ section: Section) {
        self.init(
            amounts: LimitKind.allCases.compactMap { kind in
                section.amount(of: kind).map { Amount(kind: kind, amount: $0) }
            }, maxPromptTokens: section.tokens("max_prompt_tokens"),
            maxCompletionTokens: section.tokens("max_completion_tokens"))
    }
}

extension Outline {
    fileprivate static let override = Outline(Keys.override)
}

extension Keys {
    /// What an override may say.
    fileprivate static let override: [Key] =
        [
            Key(
                "limits", .section, .filled, .reloadable,
                "In place of the configured ones; a limit that is absent stays as it is.")
        ] + LimitKind.allCases.map { limit($0, "limits") } + [
            Key(
                "limits.max_prompt_tokens",
                .scalar(.integer(1...100_000_000, unit: "tokens")), .absent, .reloadable,
                "A longer prompt gets 400."),
            Key(
                "limits.max_completion_tokens",
                .scalar(.integer(1...100_000_000, unit: "tokens")), .absent, .reloadable,
                "A larger output bound is lowered to this one."),
            Key(
                "expires_in", .scalar(.duration(.seconds(1) ... .seconds(366 * 86_400))),
                .absent, .reloadable, "After this long limits are as configured again."),
        ]
}
