// SPDX-License-Identifier: Apache-2.0

import Policy
import Units
import Wire

/// Organisations and teams: their limits as they are in force. What is used of them stands with
/// each of their tenants.
extension AdminPages {
    func organisations(to text: inout ByteBuffer) {
        JSONWriter.write(into: &text) { json in
            json.beginObject()
            json.key("organisations")
            json.beginArray()
            for group in policy.groups where !group.removed && group.parent == nil {
                write(group, to: &json)
            }
            json.endArray()
            json.endObject()
        }
    }

    /// False when there is nothing of that name.
    func group(_ target: OverrideTarget, to text: inout ByteBuffer) -> Bool {
        guard let place = target.group(in: policy) else { return false }
        JSONWriter.write(into: &text) { write(policy.groups[place], to: &$0) }
        return true
    }

    private func write(_ group: GroupPolicy, to json: inout JSONWriter) {
        json.beginObject()
        json.member("id", group.name)
        json.key("limits")
        json.beginArray()
        for limit in group.limits {
            json.beginObject()
            json.member("name", limit.kind.rawValue)
            json.member("limit", limit.amount)
            if let burst = limit.burst { json.member("burst", burst) }
            json.endObject()
        }
        json.endArray()
        control.writeOverride(of: OverrideTarget(group, of: policy).stored, to: &json)
        if group.parent == nil {
            json.key("teams")
            json.beginArray()
            for team in policy.groups where !team.removed && team.parent == group.id {
                write(team, to: &json)
            }
            json.endArray()
        }
        json.endObject()
    }
}
