// SPDX-License-Identifier: Apache-2.0

/// What becomes of a prompt that is longer than its model, or its tenant, may take. The raw value
/// is its word in the configuration.
public enum OverlongPrompt: String, Sendable, CaseIterable {
    /// 400.
    case reject
    /// The first messages of a chat are left out, instructions never, calls with their results.
    case oldestMessages = "truncate_oldest_messages"
    /// The longest texts lose their middle.
    case middle = "truncate_middle"
}

/// How much output is reserved of a tenant's budgets until an answer has ended. The raw value is
/// its word in the configuration.
public enum ReservedOutput: String, Sendable, CaseIterable {
    /// What is expected.
    case expected
    /// What nine of ten answers do not exceed.
    case high = "p90"
    /// All that the output bound allows.
    case bound
}
