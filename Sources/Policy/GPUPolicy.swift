// SPDX-License-Identifier: Apache-2.0

public import Units

/// Endpoints, of one pool or several, whose engines share one GPU: their caches are their own, its
/// time and the rest of its memory are not.
public struct GPUPolicy: Sendable, Equatable {
    public var name: String
    /// Each on one GPU at most.
    public var endpoints: [EndpointID]
    /// Prompt and expected output of all that is open there together.
    public var maxTokensInFlight: Tokens

    public init(name: String, endpoints: [EndpointID], maxTokensInFlight: Tokens) {
        self.name = name
        self.endpoints = endpoints
        self.maxTokensInFlight = maxTokensInFlight
    }
}
