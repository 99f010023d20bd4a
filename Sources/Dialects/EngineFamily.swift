// SPDX-License-Identifier: Apache-2.0

public import Units

/// The engines whose habits are known.
public enum EngineFamily: UInt8, Sendable, CaseIterable {
    case vllm
    case sglang
    /// trtllm-serve.
    case tensorRT
    /// Triton with the TensorRT-LLM backend.
    case triton
    case llamaCpp
    case tgi
    /// Anything that speaks the OpenAI API: it is probed, but shows nothing of itself.
    case openAI

    /// What the usage of an answer or a stream speaks of, when `choicesPerPrompt` were asked for.
    public func usageScope(choicesPerPrompt: Int) -> UsageScope {
        self == .llamaCpp ? .choice(perPrompt: max(choicesPerPrompt, 1)) : .answer
    }

    /// The output bound of a body that names none, where it is not the rest of the context.
    public func usualBound(of dialect: Dialect) -> Tokens? {
        switch (self, dialect) {
        case (.vllm, .completions), (.sglang, .completions), (.tensorRT, .completions): Tokens(16)
        case (.sglang, .generate): Tokens(128)
        case (.tgi, .textGeneration), (.tgi, .textGenerationStream): Tokens(100)
        default: nil
        }
    }

    /// Told to end, it closes its port and then leaves the answers that it owes open and silent,
    /// for as long as somebody waits for them.
    public var desertsAnswers: Bool { self == .vllm || self == .llamaCpp }
}

/// The paths that tell whether an engine lives and how full it is: all are cheap, and none
/// generates.
public struct ProbePlan: Sendable {
    /// 200 when it takes requests.
    public let health: StaticString
    /// To be asked instead where `health` is 404: older versions.
    public let olderHealth: StaticString?
    /// Prometheus text.
    public let metrics: StaticString?
    /// The port of `metrics` where it is not the endpoint's own.
    public let metricsPort: UInt16?
    /// JSON with the load of each slot.
    public let slots: StaticString?
}

extension EngineFamily {
    /// What to GET of an engine of this family.
    public var probePlan: ProbePlan {
        switch self {
        case .vllm, .tgi:
            return ProbePlan(
                health: "/health", olderHealth: nil, metrics: "/metrics", metricsPort: nil,
                slots: nil)
        case .sglang:
            // Its `/health` generates a token when idle and waits behind the others under load.
            return ProbePlan(
                health: "/ready", olderHealth: "/health", metrics: "/metrics", metricsPort: nil,
                slots: nil)
        case .tensorRT:
            // Its `/metrics` is JSON, and reading it takes the entries away from other readers.
            return ProbePlan(
                health: "/health", olderHealth: nil, metrics: "/prometheus/metrics",
                metricsPort: nil, slots: nil)
        case .triton:
            return ProbePlan(
                health: "/v2/health/ready", olderHealth: nil, metrics: "/metrics",
                metricsPort: 8002, slots: nil)
        case .llamaCpp:
            return ProbePlan(
                health: "/health", olderHealth: nil, metrics: "/metrics", metricsPort: nil,
                slots: "/slots")
        case .openAI:
            return ProbePlan(
                health: "/v1/models", olderHealth: nil, metrics: nil, metricsPort: nil, slots: nil)
        }
    }
}
