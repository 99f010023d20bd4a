// SPDX-License-Identifier: Apache-2.0

/// Takes the decoded texts of a request as they are found, and makes a figure of them.
///
/// The reader of a body knows where the texts are, the estimator what they cost; neither knows the
/// other.
public protocol TextMeter {
    /// The next piece of the present text: UTF-8 with the escapes decoded. It may end within a
    /// character.
    mutating func feed(_ text: RawSpan)
    /// A separate text begins: nothing carries over from the one before.
    mutating func boundary()
}
