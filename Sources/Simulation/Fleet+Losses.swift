// SPDX-License-Identifier: Apache-2.0

import Decision
import Units

/// How parts of a fleet are lost.
extension Fleet {
    mutating func lose(_ loss: FleetLoss) {
        switch loss.part {
        case .endpoint: lose(loss.count)
        case .gateway: loseGateways(loss.count)
        case .store: store?.isLost = true
        }
    }

    /// Takes the last endpoints that are left out of the world, with all that they hold.
    mutating func lose(_ count: Int) {
        for engine in engines.indices.reversed().filter({ !isLost[$0] }).prefix(count) {
            isLost[engine] = true
            versions[engine] &+= 1
            let held = open[engine]
            for client in held {
                let hadBegun = outcomes[client].firstToken != nil
                if hadBegun { wastedPrefill += outcomes[client].prompt.count }
                leave(client)
                if hadBegun { fail(client) } else { comeBack(client) }
            }
        }
    }

    /// Its stream was cut.
    private mutating func fail(_ client: Int) {
        outcomes[client].fate = .failed
        outcomes[client].end = now
        end = max(end, now)
        unresolved -= 1
        let gateway = clients[client].gateway
        if plain != nil { return finishPlain(client, gateway) }
        guard let ticket = clients[client].ticket else { return }
        clients[client].ticket = nil
        settleBudget(client, output: Tokens(clients[client].counted))
        decide(
            gateway,
            .ended(
                ticket,
                Ending(output: Tokens(clients[client].counted), isEngineFault: true)))
    }

    /// Not a byte of its answer has come: another endpoint may have it.
    private mutating func comeBack(_ client: Int) {
        if clients[client].isAdmitted {
            clients[client].isAdmitted = false
            waitingToBegin[outcomes[client].tenant] += 1
        }
        let gateway = clients[client].gateway
        if plain != nil { return comeBackPlain(client, gateway) }
        if let ticket = clients[client].ticket { decide(gateway, .bounced(ticket)) }
    }

    /// Takes the last gateways that are left out of the world. Their connections break: engines
    /// stop what they made for them, clients whose stream had begun have lost it, the others try
    /// again at once.
    mutating func loseGateways(_ count: Int) {
        for engine in engines.indices { advance(engine) }
        let there = isGatewayLost.indices.filter { !isGatewayLost[$0] }
        invariant(count < there.count, "a gateway is left")
        for gateway in there.suffix(count) { isGatewayLost[gateway] = true }
        let cut = clients.indices.filter {
            outcomes[$0].fate == .open && isGatewayLost[clients[$0].gateway]
                && (plain != nil || clients[$0].ticket != nil)
        }
        for client in cut { cutOff(client) }
        for client in cut where outcomes[client].fate == .open { enter(client) }
    }

    private mutating func cutOff(_ client: Int) {
        let hadBegun = outcomes[client].firstToken != nil
        let made = made(client)
        if clients[client].engine >= 0, let sequence = clients[client].sequence {
            let engine = clients[client].engine
            _ = engines[engine].cancel(sequence, now: now, into: &events)
            leave(client)
            touched.append(engine)
        }
        clients[client].ticket = nil
        settleBudget(client, output: hadBegun ? Tokens(made) : nil)
        guard !hadBegun else {
            outcomes[client].fate = .failed
            outcomes[client].end = now
            end = max(end, now)
            unresolved -= 1
            return
        }
        guard clients[client].isAdmitted else { return }
        clients[client].isAdmitted = false
        waitingToBegin[outcomes[client].tenant] += 1
    }
}
