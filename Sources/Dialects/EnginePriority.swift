// SPDX-License-Identifier: Apache-2.0

import Units

/// A request's place in an engine's own order, as that engine spells it.
public enum EnginePriority: Sendable, Equatable {
    case whole(Int)
    /// With two digits behind the point.
    case hundredths(Int)

    /// Appends the JSON number.
    func append(to buffer: inout ByteBuffer) {
        switch self {
        case .whole(let number): buffer.append(decimal: number)
        case .hundredths(let number):
            buffer.append(decimal: number / 100)
            buffer.append(".")
            buffer.append(byte: UInt8(ascii: "0") + UInt8(number / 10 % 10))
            buffer.append(byte: UInt8(ascii: "0") + UInt8(number % 10))
        }
    }
}

extension EngineFamily {
    /// The levels that there are: 0 is what a request has that says nothing, more goes first.
    public static let priorities = -10...10

    /// What the member `priority` has to be for a `level` of `priorities`; nil where a family has
    /// no such member.
    ///
    /// vLLM serves the lowest number first (vllm/v1/core/sched/scheduler.py), SGLang the highest
    /// unless it is told otherwise, TensorRT-LLM the highest of 0.0 to 1.0, where 0.5 is usual.
    public func priority(_ level: Int) -> EnginePriority? {
        let level = min(max(level, Self.priorities.lowerBound), Self.priorities.upperBound)
        switch self {
        case .vllm: return .whole(-level)
        case .sglang: return .whole(level)
        case .tensorRT: return .hundredths(50 + 5 * level)
        case .triton, .llamaCpp, .tgi, .openAI: return nil
        }
    }
}
