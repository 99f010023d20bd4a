// SPDX-License-Identifier: Apache-2.0

import Units

/// Turns the process's time into the engine's, which may run faster or slower.
struct EngineClock {
    let origin: Instant
    /// Simulated seconds in a real one; above zero.
    let speed: Double

    func engineTime(_ now: Instant) -> Instant {
        let span = max(0, (now - origin).nanoseconds)
        guard speed != 1 else { return Instant(nanoseconds: UInt64(span)) }
        return Instant(nanoseconds: UInt64(min(Double(span) * speed, 9e18)))
    }

    /// The first moment at which the engine's clock has reached `time`.
    func realTime(_ time: Instant) -> Instant {
        guard speed != 1 else { return origin + Duration(nanoseconds: Int64(time.nanoseconds)) }
        let span = (Double(time.nanoseconds) / speed).rounded(.up) + 1
        return origin + Duration(nanoseconds: Int64(min(span, 9e18)))
    }

    /// Real seconds between two moments of the engine's.
    func seconds(_ from: Instant, _ to: Instant) -> Double { (to - from).seconds / speed }
}
