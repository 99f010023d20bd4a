// SPDX-License-Identifier: Apache-2.0

import Budget
import Decision
import EventLoop
import Policy
import Routing
import Synchronization
import Transport
import Units
import Wire

/// The operators' door: what is asked, who may ask, and the answer's frame.
extension Control {
    /// What the admin listener knows.
    enum AdminRoute: Equatable {
        case healthz, readyz, metrics, index, tenants, throttles, pools, endpoints, queues
        case organisations, ledger, config, reload, events
        case tenant(String)
        case group(OverrideTarget)
        case request(String)
        case drain(String, Bool)
    }

    /// Drives an operator's connection until it has nothing more to say.
    func pump(_ server: HTTP1ServerConnection) {
        while true {
            switch server.next() {
            case .none: return
            case .head: server.inviteBody()
            case .request: answer(server)
            case .fault(let fault):
                text.removeAll()
                text.append("{\"error\": \"the request cannot be read\"}")
                respond(server, fault.status, "application/json")
            case .drained, .left, .preface: continue
            case .closed:
                endAudit(server, nil)
                servers.remove(server.key)
                return
            }
        }
    }

    private func answer(_ server: HTTP1ServerConnection) {
        let target = unsafe String(decoding: unsafe server.target, as: UTF8.self)
        let parts = target.split(separator: "?", maxSplits: 1)
        let path = parts.first.map(String.init) ?? "/"
        let query = parts.count > 1 ? String(parts[1]) : ""
        guard let (route, methods) = Self.route(path) else {
            return fail(server, 404, "there is nothing at this path")
        }
        guard methods.contains(server.method) else {
            return fail(
                server, 405, "the method is not allowed here",
                allow: methods == [.post]
                    ? "POST" : methods.contains(.patch) ? "GET, HEAD, PATCH, DELETE" : "GET, HEAD")
        }
        if server.method != .get, server.method != .head { beginAudit(server, route, path) }
        if let reason = foreignness(of: server, route) { return fail(server, 403, reason) }
        if route == .index, wantsPage(server) { return showPage(server) }
        guard isOpen(route) || isOperator(server) else {
            return fail(server, 401, "the admin token is needed: Authorization: Bearer")
        }
        text.removeAll()
        switch route {
        case .healthz:
            text.append("ok\n")
            respond(server, 200, "text/plain; charset=utf-8")
        case .readyz: ready(server)
        case .metrics:
            MetricsPage(self).write(to: &text)
            respond(server, 200, "text/plain; version=0.0.4; charset=utf-8")
        case .index:
            text.append(AdminPages.index)
            beginFields("text/plain; charset=utf-8")
            fields.append("Vary: Accept\r\n")
            finish(server, 200)
        case .config:
            text.append(effective)
            respond(server, 200, "application/json")
        case .reload: reloadNow(server)
        case .events: follow(server)
        case .drain(let endpoint, let draining): drain(server, endpoint, draining)
        case .tenant(let name) where server.method == .patch || server.method == .delete:
            changeOverride(server, .tenant(name))
        case .group(let target) where server.method == .patch || server.method == .delete:
            changeOverride(server, target)
        case .tenants, .tenant: usagePage(server, route, query)
        case .organisations, .group, .throttles, .pools, .endpoints, .queues, .ledger, .request:
            page(server, route, query, usage: [])
        }
    }

    /// One of the JSON pages.
    func page(
        _ server: HTTP1ServerConnection, _ route: AdminRoute, _ query: String,
        usage: [LimitsSnapshot]
    ) {
        text.removeAll()
        guard AdminPages(self, usage: usage).write(route, query: query, to: &text) else {
            return fail(server, 404, route.absence)
        }
        respond(server, 200, "application/json")
    }

    private static func route(_ path: String) -> (AdminRoute, [Method])? {
        let read: [Method] = [.get, .head]
        switch path {
        case "/": return (.index, read)
        case "/healthz": return (.healthz, read)
        case "/readyz": return (.readyz, read)
        case "/metrics": return (.metrics, read)
        case "/admin/tenants": return (.tenants, read)
        case "/admin/organisations": return (.organisations, read)
        case "/admin/throttles": return (.throttles, read)
        case "/admin/pools": return (.pools, read)
        case "/admin/endpoints": return (.endpoints, read)
        case "/admin/queues": return (.queues, read)
        case "/admin/ledger": return (.ledger, read)
        case "/admin/config": return (.config, read)
        case "/admin/events": return (.events, read)
        case "/admin/reload": return (.reload, [.post])
        default: break
        }
        // What clients name their requests may hold slashes.
        let requests = "/admin/requests/"
        if path.hasPrefix(requests), path.utf8.count > requests.utf8.count {
            return (.request(decoded(path.dropFirst(requests.count))), read)
        }
        let parts = path.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count >= 4, parts[1] == "admin" else { return nil }
        if parts.count == 4, parts[2] == "tenants", !parts[3].isEmpty {
            return (.tenant(decoded(parts[3])), read + [.patch, .delete])
        }
        if parts[2] == "organisations", let target = group(parts.dropFirst(3)) {
            return (.group(target), read + [.patch, .delete])
        }
        if parts.count == 5, parts[2] == "endpoints", parts[4] == "drain" || parts[4] == "undrain" {
            return (.drain(decoded(parts[3]), parts[4] == "drain"), [.post])
        }
        return nil
    }

    /// Of `{organisation}` or `{organisation}/teams/{team}`.
    private static func group(_ parts: ArraySlice<Substring>) -> OverrideTarget? {
        let parts = Array(parts)
        guard parts.allSatisfy({ !$0.isEmpty }) else { return nil }
        if parts.count == 1 { return .organisation(decoded(parts[0])) }
        guard parts.count == 3, parts[1] == "teams" else { return nil }
        return .team(decoded(parts[2]), of: decoded(parts[0]))
    }

    /// Percent-decoding; what is not an escape stays.
    static func decoded(_ text: Substring) -> String {
        var bytes: [UInt8] = []
        let source = Array(text.utf8)
        var place = 0
        while place < source.count {
            if source[place] == 0x25, place + 2 < source.count,
                let value = UInt8(
                    String(decoding: source[place + 1...place + 2], as: UTF8.self), radix: 16)
            {
                bytes.append(value)
                place += 3
            } else {
                bytes.append(source[place])
                place += 1
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// Probes carry no token; metrics need none on loopback, where the door then stands.
    func isOpen(_ route: AdminRoute) -> Bool {
        switch route {
        case .healthz, .readyz: true
        case .metrics: adminIsLocal || adminToken == nil
        default: adminToken == nil
        }
    }

    private var adminIsLocal: Bool {
        SocketAddress(setup.fixed.admin.address)?.isLoopback ?? true
    }

    func isOperator(_ server: HTTP1ServerConnection) -> Bool {
        guard let adminToken else { return true }
        guard case .key(let shown) = Credentials.find(in: server, digest: digest) else {
            return false
        }
        return shown == adminToken
    }

    // MARK: answers

    /// Ready: not on the way out, the budget store is there or the mode of its absence serves, the
    /// ledger takes what is used, and every pool has an endpoint in rotation.
    private func ready(_ server: HTTP1ServerConnection) {
        var reasons: [String] = []
        if shared.isDraining.load(ordering: .relaxed) { reasons.append("draining") }
        if case .redis(let redis) = setup.fixed.store, redis.onFailure == .closed,
            !shared.storeIsUp
        {
            reasons.append("budget store is down")
        }
        if shared.refusesForLedger(now: loop.now) { reasons.append("ledger is behind") }
        for issuer in unreadIssuers { reasons.append("keys of \(issuer) are not read yet") }
        let available = shared.decider.withLock { decider in
            policy.pools.filter { !$0.removed }.map { pool in
                (
                    pool.name,
                    pool.endpoints.contains { decider.isHealthy($0) }
                )
            }
        }
        for (pool, isAvailable) in available where !isAvailable {
            reasons.append("pool \(pool) has no healthy endpoint")
        }
        text.append(reasons.isEmpty ? "ready\n" : reasons.joined(separator: "\n") + "\n")
        respond(server, reasons.isEmpty ? 200 : 503, "text/plain; charset=utf-8")
    }

    private func reloadNow(_ server: HTTP1ServerConnection) {
        let mistakes = reload()
        JSONWriter.write(into: &text) { json in
            json.beginObject()
            json.member("outcome", mistakes.isEmpty ? "loaded" : "rejected")
            json.member("generation", policy.generation)
            json.key("mistakes")
            json.beginArray()
            for mistake in mistakes { json.string(mistake) }
            json.endArray()
            json.endObject()
        }
        respond(server, mistakes.isEmpty ? 200 : 400, "application/json")
    }

    private func drain(_ server: HTTP1ServerConnection, _ name: String, _ draining: Bool) {
        let found = policy.endpoints.first { !$0.removed && $0.authority == name }
        guard let endpoint = found else { return fail(server, 404, "there is no such endpoint") }
        decide(.drained(endpoint.id, draining))
        shared.log.write("endpoint \(name): \(draining ? "drained" : "back in rotation")")
        JSONWriter.write(into: &text) { json in
            json.beginObject()
            json.member("endpoint", name)
            json.member("draining", draining)
            json.endObject()
        }
        respond(server, 200, "application/json")
    }

    func fail(
        _ server: HTTP1ServerConnection, _ status: Int, _ message: String,
        allow: StaticString? = nil
    ) {
        text.removeAll()
        JSONWriter.write(into: &text) { json in
            json.beginObject()
            json.member("error", message)
            json.endObject()
        }
        respond(server, status, "application/json", allow: allow)
    }

    /// For operators' browsers, on every answer: nothing is kept or guessed, nothing runs or is
    /// loaded, no other page frames an answer or learns where it was linked from.
    private static let guardingFields: StaticString = """
        Cache-Control: no-store\r
        X-Content-Type-Options: nosniff\r
        X-Frame-Options: DENY\r
        Referrer-Policy: no-referrer\r
        Cross-Origin-Resource-Policy: same-origin\r

        """
    /// Of every answer but the page.
    static let strictPolicy = """
        default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'
        """

    /// What stands in every answer.
    func beginFields(_ type: StaticString, contentPolicy: String = Control.strictPolicy) {
        fields.removeAll()
        fields.append("Content-Type: ")
        fields.append(type)
        fields.append("\r\nContent-Security-Policy: ")
        fields.append(contentPolicy)
        fields.append("\r\n")
        fields.append(Self.guardingFields)
    }

    func respond(
        _ server: HTTP1ServerConnection, _ status: Int, _ type: StaticString,
        allow: StaticString? = nil
    ) {
        beginFields(type)
        endAudit(server, status)
        if status == 401 { fields.append("WWW-Authenticate: Bearer\r\n") }
        if let allow {
            fields.append("Allow: ")
            fields.append(allow)
            fields.append("\r\n")
        }
        finish(server, status)
    }

    /// Sends what stands in `fields` and `text`.
    func finish(_ server: HTTP1ServerConnection, _ status: Int) {
        server.respond(status: status, fields: fields, length: .exact(text.count))
        unsafe server.write(text.readable)
        server.end()
        server.flush()
    }
}
