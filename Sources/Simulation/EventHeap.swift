// SPDX-License-Identifier: Apache-2.0

import Units

/// What is planned to happen, earliest first; of one instant in the order in which it was planned.
struct EventHeap<Payload> {
    private struct Node {
        let at: Instant
        let order: UInt64
        let payload: Payload

        func isBefore(_ other: Node) -> Bool {
            at == other.at ? order < other.order : at < other.at
        }
    }

    private var nodes: [Node] = []
    private var planned: UInt64 = 0

    /// When the next thing happens.
    var first: Instant? { nodes.first?.at }

    mutating func push(_ payload: Payload, at instant: Instant) {
        nodes.append(Node(at: instant, order: planned, payload: payload))
        planned += 1
        var place = nodes.count - 1
        while place > 0 {
            let parent = (place - 1) / 2
            guard nodes[place].isBefore(nodes[parent]) else { return }
            nodes.swapAt(place, parent)
            place = parent
        }
    }

    mutating func pop() -> Payload? {
        guard let first = nodes.first, let last = nodes.popLast() else { return nil }
        if nodes.isEmpty { return first.payload }
        nodes[0] = last
        var place = 0
        while true {
            var least = place
            for child in (2 * place + 1)..<(2 * place + 3)
            where child < nodes.count && nodes[child].isBefore(nodes[least]) {
                least = child
            }
            if least == place { return first.payload }
            nodes.swapAt(place, least)
            place = least
        }
    }
}
