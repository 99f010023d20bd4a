// SPDX-License-Identifier: Apache-2.0

import Policy
import Transport
import Units
import Wire

/// `/admin/ledger`: where settlements are written down, and whether they are.
extension AdminPages {
    func ledger(to text: inout ByteBuffer) {
        let now = control.loop.now
        JSONWriter.write(into: &text) { json in
            json.beginObject()
            json.member("gateway", gatewayName)
            json.key("sinks")
            json.beginArray()
            for lane in control.shared.ledger {
                let counters = lane.counters
                json.beginObject()
                json.member("sink", lane.sink)
                json.member("target", lane.target)
                json.member("on_full", lane.policy.onFull.rawValue)
                json.member("up", counters.fault == nil)
                json.member("behind", lane.isBehind(now: now))
                json.member("fault", counters.fault)
                json.member("waiting", lane.waitingCount)
                json.member("waiting_s", lane.waited(now: now).seconds)
                json.member("queue", lane.policy.queue)
                json.member("window_s", lane.policy.window.seconds)
                json.member("written", counters.written)
                json.member("lost", counters.lost)
                json.member("faults", counters.faults)
                json.member("rotations", counters.rotations)
                json.member("trimmed", counters.trimmed)
                json.endObject()
            }
            json.endArray()
            json.endObject()
        }
    }

    /// As entries name it.
    private var gatewayName: String {
        let digits = String(control.shared.nonce, radix: 16)
        return String(repeating: "0", count: 16 - digits.utf8.count) + digits
    }
}
