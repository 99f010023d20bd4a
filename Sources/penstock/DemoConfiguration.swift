// SPDX-License-Identifier: Apache-2.0

/// What the demo runs with, and what it tells of itself.
enum DemoConfiguration {
    static let model = "llama-3.1-8b"

    /// `engines`: two for chats, then one for batch work, each host:port.
    static func text(port: UInt16, adminPort: UInt16, engines: [String]) -> String {
        """
        listeners:
          - address: 127.0.0.1:\(port)
        admin:
          address: 127.0.0.1:\(adminPort)
        models:
          - name: \(model)
            aliases: [default]
            context_length: 32768
            price:
              input_per_million: 0.10
              cached_input_per_million: 0.05
              output_per_million: 0.40
              currency: USD
        pools:
          - name: interactive
            engine: vllm
            endpoints: ["http://\(engines[0])", "http://\(engines[1])"]
            models: [\(model)]
          - name: batch
            engine: vllm
            endpoints: ["http://\(engines[2])"]
            models: [\(model)]
        classes:
          - name: interactive
            pool: interactive
            kv: {throttle_at: 0.85, reject_at: 0.90}
            queue: {max_requests: 1000, max_wait: 5s}
            timeouts: {first_token: 30s, between_tokens: 10s, total: 300s}
          - name: batch
            pool: batch
            kv: {throttle_at: 0.75, reject_at: 0.85}
            queue: {max_requests: 1000, max_wait: 3s}
            timeouts: {first_token: 60s, between_tokens: 10s, total: 600s}
        upstream: {scrape_interval: 500ms}
        tenants:
          - id: acme
            keys: ["\(KeyText.hash("sk-acme"))"]
            classes: [interactive, batch]
            models: [\(model)]
            weight: 2
            limits: {tokens_per_minute: 200000, requests_per_minute: 600, concurrent_requests: 64}
          - id: trial
            keys: ["\(KeyText.hash("sk-trial"))"]
            classes: [interactive]
            models: [\(model)]
            limits: {tokens_per_minute: 150, requests_per_minute: 60}
          - id: etl
            keys: ["\(KeyText.hash("sk-etl"))"]
            classes: [batch]
            models: [\(model)]
            limits: {tokens_per_minute: 1000000}
        """
    }

    /// The lines that stand in the README too.
    static func welcome(address: String, admin: String) -> String {
        let stream = curl("-N", address, "acme", "\"stream\": true, \"max_tokens\": 60", question)
        let budget = curl(
            "-i", address, "trial", "\"max_tokens\": 90, \"ignore_eos\": true", "Hello")
        let long = "\"max_tokens\": 1600, \"ignore_eos\": true"
        let filling = curl("-sN", address, "etl", "\"stream\": true, \(long)", "Tell me all")
        let refused = curl("-i", address, "etl", long, "Tell me all")
        return """

            Penstock is running: \(address) for clients, http://\(admin)/ for operators.
            Three simulated vLLM engines in two pools, three tenants: acme, trial, etl.

            A stream:
              \(stream)

            Two requests, and a minute's budget has room for one: the second is refused (429).
              for i in 1 2; do \(budget); done

            A long answer takes the batch engine's memory; the next one is refused meanwhile (503).
              \(filling) >/dev/null & sleep 1
              \(refused)

            What was decided, and why, live in a browser at http://\(admin)/, or:
              curl http://\(admin)/admin/throttles

            """
    }

    private static let question = "Why do penstocks have gates?"

    private static func curl(
        _ options: String, _ address: String, _ tenant: String, _ members: String,
        _ content: String
    ) -> String {
        "curl \(options) http://\(address)/v1/chat/completions"
            + " -H 'Authorization: Bearer sk-\(tenant)'"
            + " -d '{\"model\": \"default\", \(members),"
            + " \"messages\": [{\"role\": \"user\", \"content\": \"\(content)\"}]}'"
    }
}
