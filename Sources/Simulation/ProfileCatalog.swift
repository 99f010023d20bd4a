// SPDX-License-Identifier: Apache-2.0

public import Units

/// A model's shape, as its published configuration gives it.
public enum CatalogModel: String, Sendable, CaseIterable {
    case llama8b, llama70b, qwen32b

    var parameters: Double {
        switch self {
        case .llama8b: 8.03e9
        case .llama70b: 70.6e9
        case .qwen32b: 32.8e9
        }
    }
    var layers: Double {
        switch self {
        case .llama8b: 32
        case .llama70b: 80
        case .qwen32b: 64
        }
    }
    var heads: Double {
        switch self {
        case .llama8b: 32
        case .llama70b, .qwen32b: 64
        }
    }
    var hidden: Double {
        switch self {
        case .llama8b: 4096
        case .llama70b: 8192
        case .qwen32b: 5120
        }
    }
    var kvHeads: Double { 8 }
    var headDimension: Double { 128 }
}

/// A GPU, from its data sheet: H100 SXM and H200 SXM (NVIDIA).
public enum CatalogGPU: String, Sendable, CaseIterable {
    case h100, h200

    /// HBM, bytes a second.
    var bandwidth: Double {
        switch self {
        case .h100: 3.35e12
        case .h200: 4.8e12
        }
    }
    /// Dense BF16, operations a second; FP8 is twice as fast.
    var operations: Double { 989e12 }
    /// Bytes that the driver shows.
    var memory: Double {
        switch self {
        case .h100: 85.5e9
        case .h200: 150.7e9
        }
    }
    /// NVLink, bytes a second each way.
    var link: Double { 450e9 }
}

/// Bytes of one weight and of one KV value.
public enum CatalogPrecision: String, Sendable, CaseIterable {
    case fp8, bf16

    var bytes: Double {
        switch self {
        case .fp8: 1
        case .bf16: 2
        }
    }
}

/// Times in seconds, the rest shares of the data-sheet peak.
///
/// Fitted to 53 of 105 published vLLM 0.10.2 rows of Llama-3.1-70B FP8 on H100 and H200, and to 8B
/// rows of TensorRT-LLM and SGLang (ai-dynamo/aiconfigurator: silicon_sample.csv, Apache-2.0). On
/// the held-out 70B rows the error of TPOT is 5 % in the median and 9 % at the 90th percentile.
/// BF16 with 70B is an extrapolation.
private struct FittedShares {
    var fixed: Double
    var perSequence: Double
    var weights = 0.885
    var matmulFP8: Double
    var matmulBF16 = 0.72
    var prefillAttention = 0.41
    var decodeAttention: Double
    var link = 0.69
    var allReduce = 14.8e-6

    init(_ model: CatalogModel) {
        switch model {
        case .llama8b:
            (fixed, perSequence, matmulFP8, decodeAttention) = (1.5e-3, 20e-6, 0.60, 0.82)
        case .llama70b:
            (fixed, perSequence, matmulFP8, decodeAttention) = (3.4e-3, 40e-6, 0.466, 0.70)
        case .qwen32b:
            (fixed, perSequence, matmulFP8, decodeAttention) = (2.7e-3, 40e-6, 0.466, 0.70)
        }
    }
}

extension EngineProfile {
    /// An engine of `gpus` GPUs (tensor parallel), by the model's shape, the data sheet and fitted
    /// shares.
    ///
    /// Memory is vLLM's 0.9 of the GPU less 4 GB a GPU for activations, less the weights. `kv` is
    /// the precision of the KV cache where it is not the weights'. Nil when the weights leave no
    /// room.
    public static func derived(
        _ model: CatalogModel, on gpu: CatalogGPU, gpus: Int, _ precision: CatalogPrecision,
        kv: CatalogPrecision? = nil
    ) -> EngineProfile? {
        guard gpus > 0 else { return nil }
        let fit = FittedShares(model)
        let parallel = Double(gpus)
        let kvToken =
            2 * model.layers * model.kvHeads * model.headDimension * (kv ?? precision).bytes
        let kvMemory =
            parallel * (gpu.memory * 0.9 - 4e9) - model.parameters * precision.bytes
        let blocks = Int(kvMemory / (kvToken * Double(blockTokens)))
        guard blocks > 0 else { return nil }
        return EngineProfile(
            name: "\(model)-\(gpu)-tp\(gpus)-\(precision)",
            cost: .roofline(
                StepCost.Roofline(
                    fixed: fit.fixed + (gpus > 1 ? 2 * model.layers * fit.allReduce : 0),
                    perSequence: fit.perSequence,
                    weights: model.parameters * precision.bytes / parallel
                        / (gpu.bandwidth * fit.weights),
                    perToken: perToken(model, gpu, parallel, precision),
                    perPair: 4 * model.layers * model.heads * model.headDimension / parallel
                        / (gpu.operations * fit.prefillAttention),
                    perContextToken: kvToken / parallel / (gpu.bandwidth * fit.decodeAttention))),
            requestOverhead: .milliseconds(12), blocks: blocks)
    }

    /// Matrix products, and two all-reduces of two bytes a value in each layer.
    private static func perToken(
        _ model: CatalogModel, _ gpu: CatalogGPU, _ parallel: Double, _ precision: CatalogPrecision
    ) -> Double {
        let fit = FittedShares(model)
        let dense =
            gpu.operations * (precision == .fp8 ? 2 * fit.matmulFP8 : fit.matmulBF16)
        let wire = 2 * model.layers * model.hidden * 2 * 2 * (parallel - 1) / parallel
        return 2 * model.parameters / parallel / dense + wire / (gpu.link * fit.link)
    }

    /// The engine of the KV fixture: 60,000 KV tokens, 15 ms + 47 µs per prefill token + 0.1 ms per
    /// decoding sequence + 60 ns per resident token, 8,192 tokens a step.
    public static let fixtureA = EngineProfile(
        name: "fixture-a",
        cost: .linear(
            StepCost.Linear(
                fixed: 15e-3, perPrefillToken: 47e-6, perDecodingSequence: 0.1e-3,
                perResidentToken: 60e-9)),
        requestOverhead: .zero, blocks: 3_750)

    /// The fairness fixture's engine, Llama-2-7B on an A10G with 10,000 KV tokens, fitted to the
    /// profile in the artifact of VTC (OSDI'24; Ying1123/VTC-artifact, Apache-2.0).
    public static let fixtureB = EngineProfile(
        name: "fixture-b",
        cost: .linear(
            StepCost.Linear(
                fixed: 23e-3, perPrefillToken: 0.214e-3, perDecodingSequence: 0.1e-3,
                perResidentToken: 2.2e-6)),
        requestOverhead: .zero, blocks: 625)

    /// An engine for demonstrations, not fitted to anything: a prompt of 1,000 tokens takes 50 ms,
    /// a decode step 15 to 25 ms, and a few dozen chats fill the cache.
    public static func small(kvTokens: Tokens, name: String) -> EngineProfile {
        EngineProfile(
            name: name,
            cost: .linear(
                StepCost.Linear(
                    fixed: 15e-3, perPrefillToken: 35e-6, perDecodingSequence: 0.2e-3,
                    perResidentToken: 0.2e-6)),
            requestOverhead: .zero, blocks: max(1, kvTokens.count / blockTokens),
            stepBudget: Tokens(2048), maxSequences: 64)
    }

    /// The profile of a name that `catalogNames` lists; nil for any other.
    public static func named(_ name: String) -> EngineProfile? {
        switch name {
        case "small", "small-8k": return small(kvTokens: Tokens(8_192), name: name)
        case "small-4k": return small(kvTokens: Tokens(4_096), name: name)
        case "small-16k": return small(kvTokens: Tokens(16_384), name: name)
        case "fixture-a": return fixtureA
        case "fixture-b": return fixtureB
        default: return derived(name)
        }
    }

    /// Every name that `named` knows, in a fixed order.
    public static var catalogNames: [String] {
        var names = ["small", "small-4k", "small-8k", "small-16k", "fixture-a", "fixture-b"]
        for model in CatalogModel.allCases {
            for gpu in CatalogGPU.allCases {
                for gpus in parallelDegrees {
                    for precision in CatalogPrecision.allCases {
                        guard let profile = derived(model, on: gpu, gpus: gpus, precision)
                        else { continue }
                        names.append(profile.name)
                    }
                }
            }
        }
        return names
    }

    /// GPUs that one replica spans: powers of two, within a server.
    private static let parallelDegrees = [1, 2, 4, 8]

    private static func derived(_ name: String) -> EngineProfile? {
        let parts = name.split(separator: "-", omittingEmptySubsequences: false)
        guard parts.count == 4, parts[2].hasPrefix("tp"),
            let model = CatalogModel(rawValue: String(parts[0])),
            let gpu = CatalogGPU(rawValue: String(parts[1])),
            let gpus = parallelDegrees.first(where: { "tp\($0)" == parts[2] }),
            let precision = CatalogPrecision(rawValue: String(parts[3]))
        else { return nil }
        return derived(model, on: gpu, gpus: gpus, precision)
    }
}
