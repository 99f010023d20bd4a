// SPDX-License-Identifier: Apache-2.0

import Units
import Wire

/// What an engine can be asked for.
enum EngineRoute: Equatable {
    case generate(GenerationRequest.Kind)
    case models
    case health
    case version
    case metrics
    case wrongMethod(allowed: StaticText)
    case unknown

    /// The path is compared whole and as it stands; the query counts for nothing.
    init(_ method: Method, _ target: RawSpan) {
        var end = 0
        while end < target.byteCount, target.octet(end) != UInt8(ascii: "?") { end += 1 }
        let path = JSONString(range: 0..<end, isEscaped: false)
        let posts: [(StaticString, EngineRoute)] = [
            ("/v1/chat/completions", .generate(.chat)),
            ("/v1/completions", .generate(.completions)),
            ("/v1/embeddings", .generate(.embeddings)),
            ("/v1/messages", .generate(.messages)), ("/v1/responses", .generate(.responses)),
        ]
        let gets: [(StaticString, EngineRoute)] = [
            ("/health", .health), ("/metrics", .metrics), ("/v1/models", .models),
            ("/version", .version),
        ]
        if let found = posts.first(where: { path.equals($0.0, in: target) }) {
            self = method == .post ? found.1 : .wrongMethod(allowed: "POST")
        } else if let found = gets.first(where: { path.equals($0.0, in: target) }) {
            self = method == .get || method == .head ? found.1 : .wrongMethod(allowed: "GET")
        } else {
            self = .unknown
        }
    }
}
