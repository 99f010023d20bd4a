// SPDX-License-Identifier: Apache-2.0

/// Which part of each second prompts may take at an engine of a pool without targets: where a
/// controller begins, and the bounds that it stays within.
public struct PhasePolicy: Sendable, Equatable {
    public var share: Double
    public var least: Double
    public var most: Double

    /// `least` ≤ `share` ≤ `most`, all above zero and at most 1.
    public init(share: Double = 0.30, least: Double = 0.10, most: Double = 0.60) {
        self.share = share
        self.least = least
        self.most = most
    }
}
