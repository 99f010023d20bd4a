// SPDX-License-Identifier: Apache-2.0

import Dialects
import TestSupport
import Testing
import Wire

private func route(_ method: Method, _ target: String) -> Route? {
    Array(target.utf8).withRaw { Route.route(method: method, target: $0) }
}

/// The name of the model that `target` asks about.
private func modelName(_ target: String) -> String? {
    guard case .model(let range) = route(.get, target) else { return nil }
    return Array(target.utf8).withRaw { Route.modelName(range, in: $0) }
}

struct RouteTests {
    @Test(arguments: [
        ("/v1/chat/completions", Route.generate(.chatCompletions)),
        ("/v1/completions", .generate(.completions)), ("/v1/embeddings", .generate(.embeddings)),
        ("/v1/chat/completions?api-version=1&x=/../", .generate(.chatCompletions)),
        ("/v1/completions?", .generate(.completions)),
        ("/%76%31/ch%61t/completions", .generate(.chatCompletions)),
    ])
    func generatingPathsAreFound(target: String, expected: Route) {
        #expect(route(.post, target) == expected)
    }

    /// Engines decode and normalise paths; what only they would recognise must not pass under
    /// another rule.
    @Test(arguments: [
        "", "/", "*", "/v1", "/v1/", "/v1/chat", "/v1/chat/completions/", "/v1//chat/completions",
        "//v1/chat/completions", "/v1/chat%2Fcompletions", "/v1/chat%2fcompletions",
        "/v1/./chat/completions", "/v1/x/../chat/completions", "/v1/%2e%2e/v1/chat/completions",
        "/v1/chat/completions%00", "/v1/chat/completions%", "/v1/chat/completions%2",
        "/v1/chat/completions%zz", "/v1/chat/completions#x", "/V1/chat/completions",
        "/v1/chat/completions;x", "/v1/chat\\completions", "v1/chat/completions",
        "/v1/chat/completions%3Fx", "/chat/completions", "/invocations", "/metrics", "/tokenize",
        "/v1/chat/completions/batch", "/v1/%63hat%25/completions", "/v1/models/",
        "/v1/%6dodels%2Fx",
    ])
    func otherPathsDoNotExist(target: String) {
        #expect(route(.post, target) == nil)
        #expect(route(.get, target) == nil)
    }

    @Test func modelsAreRead() {
        #expect(route(.get, "/v1/models") == .models)
        #expect(route(.head, "/v1/models?x") == .models)
        #expect(route(.get, "/v1/models/llama") == .model(11..<16))
        #expect(route(.post, "/v1/models") == .methodNotAllowed(.getAndHead))
        #expect(route(.delete, "/v1/models/llama") == .methodNotAllowed(.getAndHead))
    }

    @Test(arguments: [Method.get, .head, .put, .delete, .patch, .options, .trace, .other])
    func generatingTakesAPost(method: Method) {
        #expect(route(method, "/v1/completions") == .methodNotAllowed(.post))
    }

    @Test func theAllowFieldNamesTheMethods() {
        #expect(Route.AllowedMethods.post.field.description == "POST")
        #expect(Route.AllowedMethods.getAndHead.field.description == "GET, HEAD")
    }

    @Test func namesOfModelsMayHoldSlashes() {
        #expect(modelName("/v1/models/meta-llama/Llama-3.1-8B?x=1") == "meta-llama/Llama-3.1-8B")
        #expect(modelName("/v1/models/meta-llama%2FLlama") == "meta-llama/Llama")
        #expect(modelName("/v1/models/%E6%B0%B4") == "水")
        #expect(modelName("/v1/models/%FF") == nil)
        #expect(modelName("/v1/models/a%2") == nil)
    }

    @Test(arguments: 0..<50 as Range<UInt64>)
    func anyTargetIsHarmless(seed: UInt64) {
        var maker = JSONMaker(seed: seed)
        for base in ["/v1/chat/completions?a=%20", "/v1/models/%41b"] {
            for _ in 0..<50 {
                let target = maker.damaged(Array(base.utf8))
                target.withRaw { target in
                    if case .model(let range) = Route.route(method: .get, target: target) {
                        _ = Route.modelName(range, in: target)
                    }
                }
            }
        }
    }
}
