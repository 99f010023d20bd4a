// SPDX-License-Identifier: Apache-2.0

import Dialects
import Policy
import Units
import Wire

/// One request of a probe: how an endpoint is, or how full.
struct ProbeStep: Equatable {
    enum Subject: Equatable {
        case health
        /// Asked where `health` is not there: older versions.
        case olderHealth
        case metrics
        case slots

        /// It is asked how full it is.
        var tellsLoad: Bool { self == .metrics || self == .slots }
    }

    let subject: Subject
    let path: StaticString
    /// Where it is not the endpoint's own.
    let port: UInt16?

    static func == (left: ProbeStep, right: ProbeStep) -> Bool { left.subject == right.subject }

    /// What to ask of an engine, in this order.
    static func plan(_ family: EngineFamily) -> [ProbeStep] {
        let plan = family.probePlan
        var steps = [ProbeStep(subject: .health, path: plan.health, port: nil)]
        if let older = plan.olderHealth {
            steps.append(ProbeStep(subject: .olderHealth, path: older, port: nil))
        }
        if let metrics = plan.metrics {
            steps.append(ProbeStep(subject: .metrics, path: metrics, port: plan.metricsPort))
        }
        if let slots = plan.slots {
            steps.append(ProbeStep(subject: .slots, path: slots, port: nil))
        }
        return steps
    }
}

extension EngineKind {
    /// Whose habits an engine of this kind has.
    var family: EngineFamily {
        switch self {
        case .vllm: .vllm
        case .sglang: .sglang
        case .trtllm: .tensorRT
        case .triton: .triton
        case .llamacpp: .llamaCpp
        case .tgi: .tgi
        case .openai: .openAI
        }
    }
}
