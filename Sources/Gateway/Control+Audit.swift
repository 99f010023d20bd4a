// SPDX-License-Identifier: Apache-2.0

import Decision
import EventLoop
import Policy
import Synchronization
import Transport
import Units
import Wire

/// Every attempt to change something is written down, whatever comes of it.
extension Control {
    /// A request that would change something: before anything is looked at.
    func beginAudit(_ server: HTTP1ServerConnection, _ route: AdminRoute, _ path: String) {
        let isDenied = !(isOpen(route) || isOperator(server))
        let by: AuditEntry.By = isDenied ? .unknown : adminToken == nil ? .open : .token
        var entry = AuditEntry(
            by: by, address: server.peer?.address?.host,
            action: unsafe String(decoding: server.methodName, as: UTF8.self), target: path)
        if !isDenied { entry.before = auditedState(of: route) }
        audited[server.key.raw] = (route, entry)
    }

    /// It has been answered, or its connection is gone: then nobody was told.
    func endAudit(_ server: HTTP1ServerConnection, _ status: Int?) {
        guard let (route, begun) = audited.removeValue(forKey: server.key.raw) else { return }
        var entry = begun
        entry.status = status
        if entry.before != nil { entry.after = auditedState(of: route) }
        audit.write(entry, at: loop.wall)
    }

    /// A reload that a signal asks for.
    func auditedReload() {
        var entry = AuditEntry(by: .signal, action: "SIGHUP", target: "/admin/reload")
        entry.before = auditedState(of: .reload)
        _ = reload()
        entry.after = auditedState(of: .reload)
        audit.write(entry, at: loop.wall)
    }

    /// What the change is about, as JSON; nothing of it is secret.
    private func auditedState(of route: AdminRoute) -> String? {
        var buffer = ByteBuffer()
        JSONWriter.write(into: &buffer) { json in
            json.beginObject()
            switch route {
            case .tenant(let name): writeOverride(of: name, to: &json)
            case .group(let target): writeOverride(of: target.stored, to: &json)
            case .drain(let name, _):
                json.member("draining", isDrained(name))
            case .reload: json.member("generation", policy.generation)
            default: break
            }
            json.endObject()
        }
        return unsafe String(decoding: buffer.readable, as: UTF8.self)
    }

    private func isDrained(_ name: String) -> Bool {
        guard let found = policy.endpoints.first(where: { !$0.removed && $0.authority == name })
        else { return false }
        return shared.decider.withLock { $0.isDraining(found.id) }
    }
}
