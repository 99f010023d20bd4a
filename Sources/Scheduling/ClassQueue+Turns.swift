// SPDX-License-Identifier: Apache-2.0

public import Units

/// Whose turn it is in a class.
extension ClassQueue {
    /// The entry whose turn it is.
    public func first(by order: Order) -> (place: SlabKey, entry: Entry)? {
        var found: (place: SlabKey, entry: Entry)?
        eachTurn(by: order) { place, entry in
            found = (place, entry)
            return false
        }
        return found
    }

    /// Calls `body` in the order of turns, until it returns false: those who came back, of each
    /// tenant the one whose turn it is, then the others, of each tenant the cheapest first.
    public func eachTurn(by order: Order, _ body: (SlabKey, Entry) -> Bool) {
        guard eachReturned(body) else { return }
        var chosen: [SlabKey] = []
        var goesOn = true
        fair.each { tenant in
            guard let choice = choice(of: tenant, by: order) else { return true }
            chosen.append(choice.place)
            goesOn = body(choice.place, choice.entry)
            return goesOn
        }
        guard goesOn else { return }
        var at = 0
        fair.each { tenant in
            goesOn = eachOther(of: tenant, but: chosen[at], body)
            at += 1
            return goesOn
        }
    }

    /// The entries that would have their turn before one of `tenant` that comes now, in their
    /// order, until `body` returns false.
    public func eachAhead(
        of tenant: TenantID, by order: Order, _ body: (SlabKey, Entry) -> Bool
    ) {
        let own = fair.counter(of: tenant)
        var isBehindOwn = false
        eachTurn(by: order) { place, entry in
            if entry.tenant == tenant { isBehindOwn = true }
            let isAhead =
                isBehindOwn || isReturned(place) || fair.counter(of: entry.tenant) <= own
            return (isAhead || waits(tenant)) && body(place, entry)
        }
    }

    /// What those need whose turn will likely be before that of one of `tenant` of this cost that
    /// comes now: of its own tenant all, or the cheaper ones where these go first, and of the
    /// others what they are served meanwhile.
    public func needsAhead(of tenant: TenantID, cost: Tokens, by order: Order) -> Tokens {
        var own = 0
        if let lane = lane(of: tenant) {
            own = order.isCrowded ? lane.needs(upTo: cost) : lane.needs
        }
        let others = needs.count - (lane(of: tenant)?.needs ?? 0)
        let weight = fair.weight(of: tenant)
        let waiting = fair.weight - (waits(tenant) ? weight : 0)
        let served = Double(own + cost.count / 2) * waiting / weight
        return Tokens(own + (served < Double(others) ? Int(served) : others))
    }
}
