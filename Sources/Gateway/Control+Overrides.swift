// SPDX-License-Identifier: Apache-2.0

import Budget
import EventLoop
public import Policy
import Store
import Transport
public import Units
import Wire

/// What an operator's text for an override came to.
public enum OverrideOutcome: Sendable {
    /// Nil revokes it.
    case read(LimitOverride?, expiresIn: Duration?)
    /// Every mistake with its place.
    case rejected([String])
}

/// An operator who waits for the store to keep a change.
struct PendingChange {
    let question: RequestID
    let server: SlabKey
    let change: OverrideChange
}

/// Limits that operators set while the gateway runs: kept in the store, so that every gateway has
/// them, and looked up there every second.
extension Control {
    /// From a change at one gateway to its being in force at all: under two seconds.
    static let overrideInterval = Duration.seconds(1)

    /// Once a second.
    func pollOverrides() {
        if let memory = shared.memory {
            return take(memory.overrides(nil, wall: loop.wall))
        }
        nextQuestion += 1
        let isAsked = redis?.overrides(
            nil, for: RequestID(raw: nextQuestion), now: loop.now)
        if isAsked != true {
            // While nobody tells, each still ends when it has to.
            apply(overrides.filter { $0.expires.map { loop.wall < $0 } ?? true })
        }
    }

    /// PATCH and DELETE of a tenant, an organisation or a team.
    func changeOverride(_ server: HTTP1ServerConnection, _ target: OverrideTarget) {
        let name = target.stored
        // One that has left may have left an override behind.
        let isKept = server.method == .delete && overrides.contains { $0.tenant == name }
        guard exists(target) || isKept else { return fail(server, 404, Self.absence(target)) }
        var change = OverrideChange(tenant: name, limits: nil, expiresIn: nil)
        if server.method == .patch {
            switch setup.override(unsafe Array(server.body)) {
            case .rejected(let mistakes): return rejected(server, mistakes)
            case .read(let limits, let expiresIn):
                let mistakes = limits.map { self.mistakes(of: $0, for: target) } ?? []
                guard mistakes.isEmpty else { return rejected(server, mistakes) }
                change = OverrideChange(tenant: name, limits: limits, expiresIn: expiresIn)
            }
        }
        if let memory = shared.memory {
            return answer(server, change, memory.overrides(change, wall: loop.wall))
        }
        nextQuestion += 1
        let question = RequestID(raw: nextQuestion)
        guard pendingChanges.count < 256,
            redis?.overrides(change, for: question, now: loop.now) == true
        else { return fail(server, 503, "the budget store does not answer; nothing was changed") }
        pendingChanges.append(
            PendingChange(question: question, server: server.key, change: change))
    }

    private func exists(_ target: OverrideTarget) -> Bool {
        guard case .tenant(let name) = target else { return target.group(in: policy) != nil }
        return policy.tenants.contains { !$0.removed && $0.name == name }
    }

    static func absence(_ target: OverrideTarget) -> String {
        switch target {
        case .tenant: "there is no such tenant"
        case .organisation: "there is no such organisation"
        case .team: "there is no such team"
        }
    }

    /// The store's answer to a poll or to a change.
    func takeOverrides(_ question: RequestID, _ answer: OverrideAnswer) {
        guard let place = pendingChanges.firstIndex(where: { $0.question == question }) else {
            return take(answer)
        }
        let pending = pendingChanges.remove(at: place)
        guard let server = servers[pending.server] else { return take(answer) }
        self.answer(server, pending.change, answer)
        pump(server)
    }

    private func take(_ answer: OverrideAnswer) {
        if case .overrides(let found) = answer { apply(found) }
    }

    private func apply(_ found: [StoredOverride]) {
        guard found != overrides else { return }
        note(found)
        overrides = found
        adopt(overridden(base))
    }

    /// The configured limits with what operators have set.
    func overridden(_ base: Policy) -> Policy {
        var byName: [String: LimitOverride] = [:]
        for override in overrides { byName[override.tenant] = override.limits }
        return base.overridden(by: byName, generation: policy.generation + 1)
            .groupsOverridden(by: byName)
    }

    private func note(_ found: [StoredOverride]) {
        for override in found where !overrides.contains(override) {
            let end = override.expires.map { "until \(LogTime.text($0))" } ?? "until revoked"
            shared.log.write(
                "limits of \(override.tenant) overridden: \(override.limits.words), \(end)")
        }
        for override in overrides
        where !found.contains(where: { $0.tenant == override.tenant }) {
            shared.log.write("limits of \(override.tenant) are as configured again")
        }
    }

    /// What the configuration's check would say.
    private func mistakes(
        of limits: LimitOverride, for target: OverrideTarget
    ) -> [String] {
        var mistakes = boundMistakes(of: limits, for: target)
        for amount in limits.amounts where amount.kind.quantity == .cost {
            let models = policy.models(of: target)
            for model in models where model.price == nil {
                mistakes.append(
                    "limits.\(amount.kind): the model '\(model.name)' has no price")
            }
            if Set(models.compactMap { $0.price?.currency }).count > 1 {
                mistakes.append("limits.\(amount.kind): prices are in several currencies")
            }
        }
        return mistakes
    }

    /// Those of the bounds of one request, which a tenant alone has.
    private func boundMistakes(
        of limits: LimitOverride, for target: OverrideTarget
    ) -> [String] {
        guard case .tenant(let name) = target else {
            return [
                limits.maxPromptTokens.map { _ in "limits.max_prompt_tokens" },
                limits.maxCompletionTokens.map { _ in "limits.max_completion_tokens" },
            ].compactMap { $0.map { "\($0): a tenant has it, and no group" } }
        }
        let tenant = policy.tenants.first { !$0.removed && $0.name == name }
        guard let most = limits.maxCompletionTokens,
            let least = tenant?.limits.minCompletionTokens, most < least
        else { return [] }
        return [
            "limits.max_completion_tokens: \(most) is below min_completion_tokens, which is "
                + "\(least)"
        ]
    }

    // MARK: answers

    private func rejected(_ server: HTTP1ServerConnection, _ mistakes: [String]) {
        text.removeAll()
        JSONWriter.write(into: &text) { json in
            json.beginObject()
            json.member("error", "nothing was changed")
            json.key("mistakes")
            json.beginArray()
            for mistake in mistakes { json.string(mistake) }
            json.endArray()
            json.endObject()
        }
        respond(server, 400, "application/json")
    }

    private func answer(
        _ server: HTTP1ServerConnection, _ change: OverrideChange, _ answer: OverrideAnswer
    ) {
        switch answer {
        case .full:
            fail(server, 409, "there are too many overrides; revoke some")
        case .unavailable:
            fail(server, 503, "the budget store does not answer; ask what it has kept")
        case .overrides(let found):
            apply(found)
            text.removeAll()
            JSONWriter.write(into: &text) { json in
                json.beginObject()
                // No tenant's name has a slash.
                json.member(change.tenant.contains("/") ? "group" : "tenant", change.tenant)
                writeOverride(of: change.tenant, to: &json)
                json.endObject()
            }
            respond(server, 200, "application/json")
        }
    }

    /// The member `override` of a tenant; null where there is none.
    func writeOverride(of tenant: String, to json: inout JSONWriter) {
        json.key("override")
        guard let override = overrides.first(where: { $0.tenant == tenant }) else {
            return json.null()
        }
        json.beginObject()
        json.key("limits")
        json.beginObject()
        for amount in override.limits.amounts {
            json.key(amount.kind.rawValue)
            json.double(amount.amount)
        }
        if let most = override.limits.maxPromptTokens {
            json.member("max_prompt_tokens", most.count)
        }
        if let most = override.limits.maxCompletionTokens {
            json.member("max_completion_tokens", most.count)
        }
        json.endObject()
        json.member("expires", override.expires.map { LogTime.text($0) })
        let left = override.expires.map {
            Double($0.nanoseconds - loop.wall.nanoseconds) / 1e9
        }
        json.number("expires_in_s", left.map { max(0, $0) })
        json.endObject()
    }
}
