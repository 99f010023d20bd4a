// SPDX-License-Identifier: Apache-2.0

import Simulation
import Units
import Wire

/// The request of a trace's line: a chat whose prompt has exactly its tokens by the simulated
/// engine's count, and that asks for exactly its output, or for a stated bound.
enum ReplayBody {
    /// `number`: the request's place in the trace, which makes its own text differ from all others.
    static func write(
        _ request: TraceRequest, number: Int, _ setup: ReplaySetup, to buffer: inout ByteBuffer
    ) {
        buffer.append("{\"model\":")
        JSONWriter.write(into: &buffer) { $0.string(setup.model ?? "default") }
        buffer.append(",\"messages\":[{\"role\":\"user\",\"content\":\"")
        writePrompt(request, UInt64(setup.seed) << 32 | UInt64(number), to: &buffer)
        buffer.append("\"}],\"max_tokens\":")
        let output = max(1, request.output.count)
        buffer.append(decimal: setup.stated?.count ?? output)
        if setup.stated == nil {
            buffer.append(",\"ignore_eos\":true")
        } else {
            buffer.append(",\"simulated_output\":")
            buffer.append(decimal: output)
        }
        if setup.delivery == .stream {
            buffer.append(",\"stream\":true,\"stream_options\":{\"include_usage\":true}")
        }
        buffer.append("}")
    }

    /// Prompts with the same leading prefix hashes share that text, and nothing else: `own` stands
    /// for the rest.
    private static func writePrompt(
        _ request: TraceRequest, _ own: UInt64, to buffer: inout ByteBuffer
    ) {
        let tokens = max(1, request.prompt.count)
        let unit = Trace.prefixUnit.count
        let shared = min(request.prefixes.count, tokens / unit)
        for place in 0..<shared {
            if place > 0 { buffer.append(byte: 0x20) }
            WordText(seed: request.prefixes[place]).append(tokens: 0..<unit, to: &buffer)
        }
        let rest = tokens - shared * unit
        guard rest > 0 else { return }
        if shared > 0 { buffer.append(byte: 0x20) }
        // A number of its own comes first: words alone would repeat in a short text.
        buffer.append("r")
        buffer.append(decimal: Int(own & 0xFFFF_FFFF))
        WordText(seed: own | 1 << 63).append(tokens: 1..<max(1, rest), to: &buffer)
    }
}
