// SPDX-License-Identifier: Apache-2.0

import Admission
import Decision
import Units

/// The engines' side of a fleet: what is sent to them, what they report, how they are lost.
extension Fleet {
    /// Lets engines that got something begin, once all that happens at this moment has happened.
    mutating func settle() {
        while let engine = touched.popLast() {
            if !isLost[engine] { advance(engine) }
        }
    }

    /// Brings an engine to the present and lets its news be known.
    mutating func advance(_ engine: Int) {
        guard !isLost[engine] else { return }
        engines[engine].advance(to: now, into: &events)
        replan(engine)
        take(engine)
    }

    private mutating func replan(_ engine: Int) {
        let change = engines[engine].nextChange ?? .distantFuture
        guard change != planned[engine] else { return }
        planned[engine] = change
        versions[engine] &+= 1
        if change != .distantFuture {
            heap.push(.engine(engine, version: versions[engine]), at: change)
        }
    }

    private mutating func take(_ engine: Int) {
        guard !events.isEmpty else { return }
        var news = events
        events.removeAll()
        // Whose they are is looked up first: what follows from one may give its slot away.
        let whose = news.map { owners[engine][$0.sequence.slot] }
        for (event, client) in zip(news, whose) { take(event, of: client) }
        if events.isEmpty {
            news.removeAll(keepingCapacity: true)
            events = news
        }
    }

    private mutating func take(_ event: EngineEvent, of client: Int) {
        switch event {
        case .admitted:
            guard !clients[client].isAdmitted else { return }
            clients[client].isAdmitted = true
            waitsNoMore(client)
        case .firstToken(_, let at):
            outcomes[client].firstToken = at
            service[outcomes[client].tenant] += Double(outcomes[client].prompt.count)
            count(client, made: 1)
            report(client, made: 1)
        case .preempted:
            wastedPrefill += outcomes[client].prompt.count
        case .finished(_, let at):
            count(client, made: outcomes[client].output.count)
            finish(client, at: at)
        case .tokens: break
        }
    }

    /// Its engine has begun it, or it has left.
    mutating func waitsNoMore(_ client: Int) {
        let tenant = outcomes[client].tenant
        waitingToBegin[tenant] -= 1
        if waitingToBegin[tenant] == 0 { stoppedWaiting[tenant] = true }
    }

    private mutating func finish(_ client: Int, at instant: Instant) {
        let gateway = clients[client].gateway
        leave(client)
        outcomes[client].fate = .done
        outcomes[client].end = instant
        end = max(end, instant)
        unresolved -= 1
        let output = outcomes[client].output
        if plain != nil {
            finishPlain(client, gateway)
        } else if let ticket = clients[client].ticket {
            let first = outcomes[client].firstToken ?? instant
            clients[client].ticket = nil
            settleBudget(client, output: output)
            decide(
                gateway,
                .ended(
                    ticket,
                    Ending(
                        output: output, generating: instant - first,
                        input: outcomes[client].prompt, isComplete: true)))
        }
    }

    /// Sends a request to an engine; false when it could never fit there.
    mutating func submit(_ client: Int, to engine: Int) -> Bool {
        let request = workload.trace.requests[client]
        let output = min(request.output, outcomes[client].bound ?? request.output)
        outcomes[client].output = max(output, Tokens(1))
        outcomes[client].isCut = output < request.output
        guard
            let id = try? engines[engine].submit(
                prompt: request.prompt, output: output, prefixHashes: request.prefixes,
                now: now, into: &events)
        else { return false }
        while owners[engine].count <= id.slot { owners[engine].append(-1) }
        owners[engine][id.slot] = client
        clients[client].engine = engine
        clients[client].sequence = id
        clients[client].seat = open[engine].count
        open[engine].append(client)
        outcomes[client].forwardedAt = now
        outcomes[client].forwardedTo = engine
        forwarded[engine] += 1
        touched.append(engine)
        if !isReporting[engine], plain == nil {
            isReporting[engine] = true
            heap.push(.report(engine), at: now + Self.reportInterval)
        }
        return true
    }

    /// The request is not at its engine any more.
    mutating func leave(_ client: Int) {
        let engine = clients[client].engine
        guard engine >= 0 else { return }
        clients[client].engine = -1
        clients[client].sequence = nil
        guard let last = open[engine].popLast(), last != client else { return }
        open[engine][clients[client].seat] = last
        clients[last].seat = clients[client].seat
    }

    // MARK: reports

    /// Tells gateways how far the streams of an engine are.
    mutating func report(_ engine: Int) {
        advance(engine)
        for client in open[engine] {
            guard outcomes[client].firstToken != nil else { continue }
            report(client, made: made(client))
        }
        isReporting[engine] = !open[engine].isEmpty
        if isReporting[engine] { heap.push(.report(engine), at: now + Self.reportInterval) }
    }

    private mutating func report(_ client: Int, made: Int) {
        guard made > clients[client].reported, let ticket = clients[client].ticket else { return }
        clients[client].reported = made
        decide(clients[client].gateway, .streamed(ticket, output: Tokens(made)))
    }

    /// Tokens that a request at an engine has made.
    func made(_ client: Int) -> Int {
        let (engine, sequence) = (clients[client].engine, clients[client].sequence)
        guard engine >= 0, let sequence else { return clients[client].counted }
        return engines[engine].made(by: sequence) ?? clients[client].counted
    }

    private mutating func count(_ client: Int, made: Int) {
        service[outcomes[client].tenant] += 2 * Double(made - clients[client].counted)
        clients[client].counted = made
    }

    mutating func sample() {
        for engine in engines.indices {
            advance(engine)
            for client in open[engine] where outcomes[client].firstToken != nil {
                count(client, made: made(client))
            }
        }
        let isBacklogged = waitingToBegin.indices.map {
            waitingToBegin[$0] > 0 && !stoppedWaiting[$0]
        }
        samples.append(ServiceSample(at: now, service: service, isBacklogged: isBacklogged))
        for tenant in stoppedWaiting.indices { stoppedWaiting[tenant] = false }
    }

    mutating func scrape(_ gateway: Int) {
        for engine in 0..<joined {
            advance(engine)
            guard plain == nil else { continue }
            let endpoint = EndpointID(engine)
            decide(gateway, .probing(endpoint))
            guard !isLost[engine] else {
                decide(gateway, .probeFailed(endpoint, .refused))
                continue
            }
            let gauges = engines[engine].gauges
            let reading = EngineReading(
                usedTokens: Tokens(gauges.usedBlocks * EngineProfile.blockTokens),
                capacityTokens: engines[engine].profile.kvTokens, running: gauges.running,
                waiting: gauges.waiting)
            decide(gateway, .probed(endpoint, reading))
        }
        if plain != nil { scrapePlain(gateway) }
    }
}

extension EngineEvent {
    var sequence: SequenceID {
        switch self {
        case .admitted(let id, _, _), .firstToken(let id, _), .tokens(let id, _, _),
            .preempted(let id, _), .finished(let id, _):
            id
        }
    }
}
