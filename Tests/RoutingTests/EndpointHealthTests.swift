// SPDX-License-Identifier: Apache-2.0

import Routing
import Testing
import Units

@Suite("EndpointHealth")
struct EndpointHealthTests {
    private var health = EndpointHealth(unhealthyAfter: 2, healthyAfter: 3)

    private func at(_ seconds: Int) -> Instant { Instant(nanoseconds: 0) + .seconds(seconds) }

    @Test("an endpoint begins in rotation")
    func start() {
        #expect(health.isHealthy && health.isAvailable)
        #expect(health.changedAt == nil)
    }

    @Test("failures in a row take it out, good probes in a row bring it back")
    mutating func row() {
        health.failed(now: at(1))
        health.succeeded(sleeping: nil, now: at(2))
        health.failed(now: at(3))
        #expect(health.isAvailable)
        health.failed(now: at(4))
        #expect(!health.isHealthy && !health.isAvailable)
        #expect(health.changedAt == at(4))
        health.succeeded(sleeping: nil, now: at(5))
        health.succeeded(sleeping: nil, now: at(6))
        health.failed(now: at(7))
        #expect(health.changedAt == at(4))
        for second in 8...9 { health.succeeded(sleeping: nil, now: at(second)) }
        #expect(!health.isHealthy)
        health.succeeded(sleeping: nil, now: at(10))
        #expect(health.isAvailable)
        #expect(health.changedAt == at(10))
    }

    @Test("streams that break in a row take it out, one that is served between them does not")
    mutating func breaks() {
        health.broke(now: at(1))
        health.delivered()
        health.broke(now: at(2))
        #expect(health.isAvailable)
        health.broke(now: at(3))
        #expect(!health.isAvailable)
    }

    @Test("an engine that breaks what it begins is out again with the first stream that breaks")
    mutating func again() {
        health.broke(now: at(1))
        health.broke(now: at(2))
        for second in 3...5 { health.succeeded(sleeping: nil, now: at(second)) }
        #expect(health.isAvailable)
        health.broke(now: at(6))
        #expect(!health.isAvailable)
        for second in 7...9 { health.succeeded(sleeping: nil, now: at(second)) }
        health.delivered()
        health.broke(now: at(10))
        #expect(health.isAvailable)
    }

    @Test("a stream that is served does not hide that the port is closed")
    mutating func closedPort() {
        health.failed(now: at(1))
        health.delivered()
        health.failed(now: at(2))
        #expect(!health.isAvailable)
        health.delivered()
        #expect(!health.isAvailable)
    }

    @Test("a drained endpoint is healthy and takes nothing")
    mutating func drain() {
        health.drain(true)
        #expect(health.isHealthy && health.isDraining && !health.isAvailable)
        health.succeeded(sleeping: false, now: at(1))
        #expect(!health.isAvailable)
        health.drain(false)
        #expect(health.isAvailable)
    }

    @Test("one that sleeps takes nothing until it says that it is awake")
    mutating func sleep() {
        health.succeeded(sleeping: true, now: at(1))
        #expect(health.isHealthy && health.isSleeping && !health.isAvailable)
        // A probe without metrics does not say.
        health.succeeded(sleeping: nil, now: at(2))
        #expect(!health.isAvailable)
        health.succeeded(sleeping: false, now: at(3))
        #expect(health.isAvailable)
    }

    @Test("a changed patience counts from the next event on")
    mutating func configure() {
        health.failed(now: at(1))
        health.configure(unhealthyAfter: 1, healthyAfter: 1)
        #expect(health.isAvailable)
        health.failed(now: at(2))
        #expect(!health.isAvailable)
        health.succeeded(sleeping: nil, now: at(3))
        #expect(health.isAvailable)
    }

    @Test("one that returns begins anew, but for the operator's word")
    mutating func restart() {
        health.succeeded(sleeping: true, now: at(1))
        health.failed(now: at(2))
        health.failed(now: at(3))
        health.drain(true)
        health.restart()
        #expect(health.isHealthy && !health.isSleeping && health.isDraining)
        health.drain(false)
        health.failed(now: at(4))
        #expect(health.isAvailable)
    }
}
