// SPDX-License-Identifier: Apache-2.0

import Budget
import Decision
import Policy
import Store
import Synchronization
import Transport
import Units
import Wire

/// `/admin/events`: server-sent events for whoever watches.
///
/// Once a second the rows of tenants, endpoints and queues that changed, four times a second the
/// refusals since the last time. All listeners are told the same, so the rows are made once. One
/// that does not take its messages in time misses some, and is then told everything anew; after
/// `http.write_timeout` it is dropped. What is held for it is `http.stream_buffer` and one message
/// at most.
extension Control {
    /// A new listener.
    func follow(_ server: HTTP1ServerConnection) {
        forgetLeft()
        guard feed.listeners.count < EventFeed.mostListeners else {
            return fail(server, 503, "\(EventFeed.mostListeners) listen already")
        }
        text.removeAll()
        beginFields("text/event-stream")
        fields.append("X-Accel-Buffering: no\r\n")
        server.respond(status: 200, fields: fields, length: .unknown)
        guard server.method != .head else {
            server.end()
            return server.flush()
        }
        feed.listeners.append(EventFeed.Listener(server.key))
        feed.stateAt = loop.now
        feed.throttlesAt = loop.now
        server.flush()
    }

    /// Once a turn.
    func driveEvents() {
        guard !feed.listeners.isEmpty else { return }
        forgetLeft()
        if loop.now >= feed.throttlesAt {
            feed.throttlesAt = loop.now + EventFeed.throttleInterval
            tellThrottles()
        }
        if loop.now >= feed.stateAt {
            feed.stateAt = loop.now + EventFeed.interval
            askForState()
        }
    }

    private func forgetLeft() {
        feed.listeners.removeAll { servers[$0.server] == nil }
    }

    // MARK: state

    private func askForState() {
        guard let redis else { return tellState(memoryUsage()) }
        // The store has not answered yet: the next time is soon.
        guard feed.question == nil else { return }
        nextQuestion += 1
        let question = RequestID(raw: nextQuestion)
        let answer = redis.usage(
            of: shownAccounts(), for: question, now: loop.now, wall: loop.wall)
        if let answer { return tellState(Self.standings(answer)) }
        feed.question = question
    }

    /// The store's answer; false where it was no question of the feed.
    func takeState(_ question: RequestID, _ answer: UsageAnswer) -> Bool {
        guard feed.question == question else { return false }
        feed.question = nil
        tellState(Self.standings(answer))
        return true
    }

    private func tellState(_ usage: [LimitsSnapshot]) {
        if feed.generation != policy.generation {
            feed.generation = policy.generation
            feed.startAnew()
        }
        FeedPage(self, usage: usage).write()
        let news = stateMessage(isWhole: false)
        let whole = feed.listeners.contains { $0.needsState } ? stateMessage(isWhole: true) : nil
        for place in feed.listeners.indices {
            guard let server = ready(place) else { continue }
            let isNew = feed.listeners[place].needsState
            feed.listeners[place].needsState = false
            send(isNew ? whole ?? news : news, to: server)
        }
    }

    private func stateMessage(isWhole: Bool) -> [UInt8] {
        text.removeAll()
        text.append("event: state\ndata: {\"all\":")
        text.append(isWhole ? "true" : "false")
        text.append(",\"gateway\":")
        JSONWriter.write(into: &text) { writeStanding(to: &$0) }
        text.append(",\"tenants\":[")
        unsafe text.append(isWhole ? feed.tenants.all.readable : feed.tenants.changed.readable)
        text.append("],\"endpoints\":[")
        unsafe text.append(isWhole ? feed.endpoints.all.readable : feed.endpoints.changed.readable)
        text.append("],\"queues\":[")
        unsafe text.append(isWhole ? feed.queues.all.readable : feed.queues.changed.readable)
        text.append("]}\n\n")
        return unsafe Array(text.readable)
    }

    /// How the gateway itself stands.
    private func writeStanding(to json: inout JSONWriter) {
        json.beginObject()
        json.member("time_s", Double(loop.wall.nanoseconds) / 1e9)
        json.member("started_s", Double(startedAt.nanoseconds) / 1e9)
        json.member("generation", policy.generation)
        json.member("draining", shared.isDraining.load(ordering: .relaxed))
        json.member("store_up", shared.storeIsUp)
        json.member("ledger_behind", shared.refusesForLedger(now: loop.now))
        json.member("reload_rejected", !lastReload.isEmpty)
        let currencies = Set(policy.models.compactMap { $0.removed ? nil : $0.price?.currency })
        json.member("currency", currencies.count == 1 ? currencies.first : nil)
        json.endObject()
    }

    // MARK: refusals

    private func tellThrottles() {
        let fresh = shared.throttles.after(feed.throttleMark, atMost: EventFeed.mostThrottles)
        feed.throttleMark = fresh.mark
        let news = fresh.records.isEmpty ? nil : throttlesMessage(fresh, isWhole: false)
        var whole: [UInt8]?
        for place in feed.listeners.indices {
            let isNew = feed.listeners[place].needsThrottles
            guard isNew || news != nil else { continue }
            guard let server = ready(place) else { continue }
            feed.listeners[place].needsThrottles = false
            if isNew {
                whole =
                    whole
                    ?? throttlesMessage(
                        shared.throttles.after(0, atMost: EventFeed.mostThrottles), isWhole: true)
            }
            if let message = isNew ? whole : news { send(message, to: server) }
        }
    }

    private func throttlesMessage(
        _ fresh: ThrottleLog.Fresh, isWhole: Bool
    ) -> [UInt8] {
        let pages = AdminPages(self, usage: [])
        text.removeAll()
        text.append("event: throttles\ndata: ")
        JSONWriter.write(into: &text) { json in
            json.beginObject()
            json.member("all", isWhole)
            json.member("left_out", isWhole ? 0 : fresh.leftOut)
            json.key("throttles")
            json.beginArray()
            for record in fresh.records { pages.write(record, to: &json) }
            json.endArray()
            json.endObject()
        }
        text.append("\n\n")
        return unsafe Array(text.readable)
    }

    // MARK: listeners

    /// The listener's connection, if it takes more at present; who has not for long is dropped.
    private func ready(_ place: Int) -> HTTP1ServerConnection? {
        guard let server = servers[feed.listeners[place].server] else { return nil }
        guard server.isCongested else {
            feed.listeners[place].stuckSince = nil
            return server
        }
        // What it misses now it is told later, all at once.
        feed.listeners[place].needsState = true
        feed.listeners[place].needsThrottles = true
        let since = feed.listeners[place].stuckSince ?? loop.now
        feed.listeners[place].stuckSince = since
        if loop.now - since >= policy.http.writeTimeout {
            shared.log.write("events: a listener that does not read was dropped")
            server.abort()
            pump(server)
        }
        return nil
    }

    private func send(_ message: [UInt8], to server: HTTP1ServerConnection) {
        unsafe message.withUnsafeBytes { unsafe server.write($0) }
        server.flush()
        pump(server)
    }
}
