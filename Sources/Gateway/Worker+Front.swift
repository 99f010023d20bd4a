// SPDX-License-Identifier: Apache-2.0

import Decision
import Dialects
import Estimation
import EventLoop
import Policy
import Routing
import Store
import Synchronization
import Telemetry
import Transport
import Units
import Wire

/// The client's side: from a head to a request that the decider can judge.
extension Worker {
    /// Drives a connection until it has nothing more to say.
    func pump(_ connection: ServerConnection) {
        switch connection {
        case .http1(let server): pump(server)
        case .http2(let connection): pump(connection)
        }
    }

    private func pump(_ server: HTTP1ServerConnection) {
        while true {
            let event = server.next()
            switch event {
            case .none:
                if holds(server) { return }
            case .closed: return forget(server.key)
            case .preface: return upgrade(server)
            case .head, .request, .fault, .drained, .left: hear(event, server)
            }
        }
    }

    private func pump(_ connection: HTTP2ServerConnection) {
        while true {
            switch connection.next() {
            case .none: return
            case .stream(let stream): pump(stream)
            case .closed: return forget(connection.key)
            }
        }
    }

    private func pump(_ stream: HTTP2ServerStream) {
        while true {
            let event = stream.next()
            if event != .none {
                hear(event, stream)
            } else if holds(stream) {
                return
            }
        }
    }

    private func hear(_ event: ServerEvent, _ server: ServerStream) {
        switch event {
        case .head: begin(server)
        case .request: arrive(server)
        case .fault(let fault): refuse(server, fault)
        case .drained:
            if let exchange = exchange(of: server) { exchange.client?.resumeReading() }
        case .left:
            if let exchange = exchange(of: server) { close(exchange, .clientLeft) }
        // Of a connection, not of a request.
        case .none, .closed, .preface: return
        }
    }

    private func forget(_ connection: SlabKey) {
        leave(servers.remove(connection)?.peer?.address)
        shared.openConnections.subtract(1, ordering: .relaxed)
        wakeDoors()
    }

    /// The client speaks HTTP/2: the same connection, under the same key.
    private func upgrade(_ server: HTTP1ServerConnection) {
        guard let connection = server.upgrade(http2Limits) else { return forget(server.key) }
        servers.update(server.key) { $0 = .http2(connection) }
        if isDraining { connection.closeAfterAnswers() }
        pump(connection)
    }

    func exchange(of stream: ServerStream) -> Exchange? {
        stream.tag.flatMap { exchanges[$0] }
    }

    // MARK: head

    /// Route, identity, class: what can be said before the body is read.
    private func begin(_ server: ServerStream) {
        server.tag = nil
        let name =
            unsafe server.value(.xRequestID).flatMap { unsafe RequestName($0) }
            ?? RequestName(random: &random)
        guard
            let route = unsafe Route.route(
                method: server.method, target: server.target.bytes)
        else { return refuse(server, name, Refusal(.notFound)) }
        if case .methodNotAllowed(let allowed) = route {
            return refuse(server, name, Refusal(.methodNotAllowed), allow: allowed.field)
        }
        let client: Identified
        switch identify(server) {
        case .known(let found): client = found
        case .refused(let reason): return refuse(server, name, Refusal(reason))
        }
        switch route {
        case .generate(let dialect):
            open(server, name, dialect, client)
        case .models, .model:
            // Answered when the request is complete: a body is not expected, but may come.
            open(server, name, nil, client)
        case .methodNotAllowed: return
        }
    }

    private func open(
        _ server: ServerStream, _ name: RequestName, _ dialect: Dialect?,
        _ client: Identified
    ) {
        let tenant = client.tenant
        let trafficClass: ClassID
        switch resolveClass(server, client) {
        case .success(let found): trafficClass = found
        case .failure(let refusal): return refuse(server, name, refusal, tenant: tenant)
        }
        // Streams of HTTP/2 come until their client knows better.
        if isDraining, !server.mayComeLate {
            return refuse(server, name, Refusal(.draining, retryAfter: .seconds(1)))
        }
        if dialect != nil, shared.refusesForLedger(now: loop.now) {
            return refuse(
                server, name, Refusal(.ledgerUnavailable, retryAfter: .seconds(1)),
                tenant: tenant)
        }
        if let length = server.announcedLength, length > policy.http.maxBody.count {
            return refuse(
                server, name,
                Refusal(
                    .requestTooLarge, limit: Double(policy.http.maxBody.count),
                    requested: Double(length)), tenant: tenant)
        }
        if heldBodies > policy.http.maxBufferedBodies.count {
            return refuse(
                server, name, Refusal(.gatewayOverloaded, retryAfter: .seconds(1)),
                tenant: tenant)
        }
        // What is bounded by connections elsewhere is so by requests where they have many.
        let packing = dialect == nil ? .none : Self.packing(server)
        guard packing != .unknown else {
            return refuse(server, name, Refusal(.unsupportedEncoding), tenant: tenant)
        }
        guard exchanges.count < policy.http.maxConnections, let key = exchanges.nextKey else {
            return refuse(server, name, Refusal(.gatewayOverloaded, retryAfter: .seconds(1)))
        }
        let exchange = Exchange(
            id: RequestID(worker: index, key: key), server: server, policy: policy, name: name,
            tenant: tenant, key: client.key, account: accounts.account(of: tenant),
            trafficClass: trafficClass, now: loop.now)
        exchange.route = dialect
        exchange.isPacked = packing == .gzip
        exchange.address = ForwardedFor.client(server, trusting: policy.http.trustedProxies)
        exchange.dialect = dialect ?? .chatCompletions
        _ = exchanges.insert(exchange)
        server.tag = key
        server.inviteBody()
    }

    private struct Identified {
        let tenant: TenantID
        var key: KeyHash?
        /// Of its token; nil: all that the tenant has.
        var classes: [ClassID]?
    }

    private enum Identification {
        case known(Identified)
        case refused(RefusalReason)
    }

    /// Whose request it is: the door's tenant, the key's, or the anonymous one's.
    private func identify(_ server: ServerStream) -> Identification {
        if let tenant = doorTenants[server.door] { return .known(Identified(tenant: tenant)) }
        let certified: TenantID?
        switch Credentials.certified(server.peer, policy) {
        case .nobody: certified = nil
        case .tenant(let tenant): certified = tenant
        case .several: return .refused(.invalidAPIKey)
        }
        let longest = policy.identity.issuers.isEmpty ? nil : policy.identity.maxToken.count
        switch Credentials.find(in: server, digest: digest, longestToken: longest) {
        case .none:
            guard let tenant = certified ?? policy.anonymous else {
                return .refused(.invalidAPIKey)
            }
            return .known(Identified(tenant: tenant))
        case .key(let hash): return identify(hash, certified)
        case .token(let hash): return identify(token: hash, server, certified)
        case .longToken: return .refused(tokens.refuseLong())
        case .unusable: return .refused(.invalidAPIKey)
        }
    }

    private func identify(_ key: KeyHash, _ certified: TenantID?) -> Identification {
        switch policy.owner(of: key, at: loop.wall) {
        // As with two keys, neither is silently used where they do not agree.
        case .tenant(let tenant) where certified ?? tenant == tenant:
            .known(Identified(tenant: tenant, key: key))
        case .not(.expired): .refused(.apiKeyExpired)
        case .not(.notYetValid): .refused(.apiKeyNotYetValid)
        case .nobody, .tenant, .not(.valid): .refused(.invalidAPIKey)
        }
    }

    private func identify(
        token: KeyHash, _ server: ServerStream, _ certified: TenantID?
    ) -> Identification {
        guard let text = unsafe Credentials.token(in: server) else {
            return .refused(.invalidToken)
        }
        switch unsafe tokens.read(text, token, policy, at: loop.wall) {
        case .holder(let holder) where certified ?? holder.tenant == holder.tenant:
            return .known(Identified(tenant: holder.tenant, classes: holder.classes))
        case .holder: return .refused(.invalidToken)
        case .refused(let reason): return .refused(reason)
        }
    }

    private enum ClassChoice {
        case success(ClassID)
        case failure(Refusal)
    }

    private func resolveClass(_ server: ServerStream, _ client: Identified) -> ClassChoice {
        let own = policy.tenants[client.tenant.index].classes
        guard let asked = unsafe server.value(.xTrafficClass) else {
            guard let first = (client.classes ?? own).first(where: own.contains) else {
                return .failure(Refusal(.classNotAllowed))
            }
            return .success(first)
        }
        guard let found = unsafe policy.trafficClass(asked.bytes) else {
            return .failure(Refusal(.unknownClass))
        }
        guard own.contains(found), client.classes?.contains(found) ?? true else {
            return .failure(Refusal(.classNotAllowed))
        }
        return .success(found)
    }

    // MARK: body

    /// What has come of a body counts against the bound while it comes: an announcement would be
    /// cheap, and the end would be too late. False when it was refused for that.
    private func holds(_ server: ServerStream) -> Bool {
        guard let exchange = exchange(of: server), exchange.state == .reading else { return true }
        count(server, of: exchange)
        if hasRoom(for: exchange) { return true }
        refuse(exchange, Refusal(.gatewayOverloaded, retryAfter: .seconds(1)))
        return false
    }

    /// One alone always has room.
    func hasRoom(for exchange: Exchange) -> Bool {
        heldBodies <= policy.http.maxBufferedBodies.count || heldBodies == exchange.heldBody
    }

    func count(_ server: ServerStream, of exchange: Exchange) {
        let held = server.heldRequestBytes + exchange.heldUnpacked
        heldBodies += held - exchange.heldBody
        exchange.heldBody = held
    }

    /// The request is complete.
    private func arrive(_ server: ServerStream) {
        guard let exchange = exchange(of: server) else { return }
        exchange.readAt = loop.now
        count(server, of: exchange)
        if exchange.isPacked { unpack(exchange) } else { read(server, exchange) }
    }

    /// The body is here as it is meant: one pass over it, and the decider is told.
    func read(_ server: ServerStream, _ exchange: Exchange) {
        guard let dialect = exchange.route else { return list(server, exchange) }
        if handOver(server, exchange, dialect) { return }
        do throws(BodyFault) {
            try unsafe readPrompt(exchange, dialect, exchange.content(server))
        } catch {
            return refuse(exchange, error)
        }
        understand(server, exchange, dialect, nil)
    }

    /// The body was read: what it asks for is known. `counted`: its tokens, where they are.
    func understand(
        _ server: ServerStream, _ exchange: Exchange, _ dialect: Dialect, _ counted: ExactCount?
    ) {
        guard let model = model(of: exchange, server) else { return }
        exchange.model = model
        exchange.account = accounts.account(
            of: exchange.tenant, model: model, key: exchange.key)
        let arrival = arrival(exchange, model, until: patience(server, exchange))
        exchange.arrival = arrival
        if unsafe shorten(exchange, arrival, exchange.content(server)) {
            exchange.arrival = self.arrival(exchange, model, until: arrival.deadline)
        } else if let counted {
            take(counted, exchange)
            return budget(exchange)
        }
        count(server, exchange, dialect)
    }

    /// The prompt's tokens are known, or estimated: the decider is told.
    func budget(_ exchange: Exchange) {
        guard var arrival = exchange.arrival else { return }
        if exchange.dialect == .countTokens {
            return tell(exchange, shared.decider.withLock { $0.promptTokens(arrival) })
        }
        exchange.state = .budgeting
        beginTrace(exchange)
        arrival.trace = exchange.trace
        awaitSigns(exchange)
        startClock(exchange)
        decide(.arrived(exchange.id, arrival))
    }

    /// What the client wanted to know is known: it costs nothing, and no engine is asked.
    private func tell(_ exchange: Exchange, _ input: Tokens) {
        let server = exchange.server
        text.removeAll()
        JSONWriter.write(into: &text) { json in
            json.beginObject()
            json.member("input_tokens", input.count)
            json.endObject()
        }
        let isLate = exchange.state == .counting
        answer(exchange, status: 200)
        // As `refuseLate`: its connection goes on with what the client sent behind it.
        if isLate, let server, let connection = servers[server.key] { pump(connection) }
    }

    /// When all of it must be over: by its class, or by the client.
    func startClock(_ exchange: Exchange) {
        exchange.totalDeadline = min(
            exchange.arrivedAt + exchange.timeouts.total,
            exchange.arrival?.deadline ?? .distantFuture)
        setDeadline(exchange, exchange.totalDeadline)
    }

    /// So many blocks of a prompt have to be named: none where there is no choice of an endpoint.
    func prefixBlocks(_ exchange: Exchange) -> Int {
        let routing = exchange.policy.routing
        let pool = exchange.policy.classes[exchange.trafficClass.index].pool
        guard routing.prefixBlocks > 0, exchange.policy.pools[pool.index].endpoints.count > 1
        else { return 0 }
        return routing.maxPrefix.count / PrefixMeter.blockBytes
    }

    /// What engines of its pool make of a body without a bound, where they do not go on to the end
    /// of the context.
    func usualBound(_ exchange: Exchange) -> Tokens? {
        let pool = exchange.policy.classes[exchange.trafficClass.index].pool
        return exchange.policy.pools[pool.index].engine.family.usualBound(of: exchange.dialect)
    }

    /// The engine will generate the whole bound, whatever it has to say.
    func isForced(_ exchange: Exchange) -> Bool {
        if exchange.inspection.ignoreEOS { return true }
        guard let bound = exchange.inspection.bound else { return false }
        return exchange.inspection.minTokens >= bound
    }

    /// The model by name or alias, if the tenant may use it in this class's pool; nil when refused.
    private func model(of exchange: Exchange, _ server: ServerStream) -> ModelID? {
        exchange.dialect = exchange.inspection.dialect
        let found =
            unsafe named(exchange, server)
            ?? exchange.policy.model(
                exchange.inspection.model, in: exchange.content(server).bytes)
        guard let model = found else {
            refuse(exchange, Refusal(.modelNotFound))
            return nil
        }
        let pool = exchange.policy.classes[exchange.trafficClass.index].pool
        guard exchange.policy.tenants[exchange.tenant.index].models.contains(model) else {
            exchange.model = model
            refuse(exchange, Refusal(.modelNotAllowed))
            return nil
        }
        guard exchange.policy.pools[pool.index].models.contains(model) else {
            exchange.model = model
            refuse(exchange, Refusal(.modelNotFound))
            return nil
        }
        return model
    }

    /// The model of a request whose body does not say: that of its path, or the one that its pool
    /// serves.
    func named(_ exchange: Exchange, _ server: ServerStream) -> ModelID? {
        switch exchange.dialect.namesModelIn {
        case .body: return nil
        case .path:
            guard let range = unsafe Route.pathModel(of: server.target.bytes),
                let name = unsafe Route.modelName(range, in: server.target.bytes)
            else { return nil }
            return unsafe exchange.policy.model(name.utf8Span.span.bytes)
        case .pool:
            let pool = exchange.policy.classes[exchange.trafficClass.index].pool
            let allowed = exchange.policy.tenants[exchange.tenant.index].models
            let served = exchange.policy.pools[pool.index].models
            return served.first { allowed.contains($0) } ?? served.first
        }
    }

    /// When the client will have hung up: its stated budget, or its read timeout, whichever is
    /// shorter.
    private func patience(_ server: ServerStream, _ exchange: Exchange) -> Instant {
        var deadline = Instant.distantFuture
        if let milliseconds = unsafe server.value(.xPenstockDeadlineMS)?.positiveNumber {
            deadline = loop.now + .milliseconds(milliseconds)
        }
        if let seconds = unsafe server.value(.xStainlessReadTimeout)?.positiveNumber,
            !keepsAlive(exchange, within: .seconds(seconds))
        {
            // A margin before the client gives up, so that the answer still reaches it.
            let span = Duration.seconds(seconds)
            deadline = min(
                deadline,
                loop.now + span
                    - min(
                        .seconds(1),
                        Duration(
                            nanoseconds: span.nanoseconds / 10)))
        }
        return deadline
    }

    func token(_ exchange: Exchange) -> Token {
        Token(kind: Kind.exchange, key: exchange.id.key)
    }

    // MARK: models

    /// `GET /v1/models` and `/v1/models/{model}`: what the tenant may use, answered here.
    private func list(_ server: ServerStream, _ exchange: Exchange) {
        let tenant = policy.tenants[exchange.tenant.index]
        guard
            case .model(let range)? = unsafe Route.route(
                method: server.method, target: server.target.bytes)
        else {
            ModelList.write(tenant.models.map { policy.models[$0.index] }, to: &text)
            return answer(exchange, status: 200)
        }
        guard let name = unsafe Route.modelName(range, in: server.target.bytes),
            let model = unsafe policy.model(name.utf8Span.span.bytes), tenant.models.contains(model)
        else {
            return refuse(exchange, Refusal(.modelNotFound))
        }
        ModelList.write(policy.models[model.index], to: &text)
        answer(exchange, status: 200)
    }
}
