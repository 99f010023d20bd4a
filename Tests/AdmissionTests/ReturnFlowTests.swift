// SPDX-License-Identifier: Apache-2.0

import Admission
import Testing
import Units

@Suite("ReturnFlow")
struct ReturnFlowTests {
    private func at(_ seconds: Double) -> Instant { Instant(nanoseconds: 0) + .seconds(seconds) }

    @Test("without newcomers those who return get all that is counted on")
    func idle() {
        #expect(ReturnFlow().returnsPerSecond(givenBack: 1_000, now: at(100)) == 750)
    }

    @Test("they get what newcomers leave, and never less than a small part")
    func newcomers() {
        var flow = ReturnFlow()
        for second in 100..<110 { flow.arrived(Tokens(400), now: at(Double(second))) }
        #expect(flow.newcomersPerSecond(at(109.5)) == 400)
        #expect(flow.returnsPerSecond(givenBack: 1_000, now: at(109.5)) == 350)
        #expect(flow.returnsPerSecond(givenBack: 500, now: at(109.5)) == 75)
    }

    @Test("who was told to come is no newcomer, whether let in or refused again")
    func promised() {
        var flow = ReturnFlow()
        for second in 100..<110 {
            flow.promised(Tokens(300), at: at(Double(second)))
            flow.arrived(Tokens(300), now: at(Double(second) + 0.4))
            flow.arrived(Tokens(100), now: at(Double(second) + 0.6))
        }
        #expect(flow.newcomersPerSecond(at(109.9)) == 100)
    }

    @Test("who was told to come and stays away makes nobody fewer than none")
    func absent() {
        var flow = ReturnFlow()
        for second in 100..<110 { flow.promised(Tokens(300), at: at(Double(second))) }
        #expect(flow.newcomersPerSecond(at(109.9)) == 0)
    }

    @Test("a wave is no flow")
    func wave() {
        var flow = ReturnFlow()
        for second in 100..<110 { flow.arrived(Tokens(100), now: at(Double(second))) }
        for place in 0..<100 { flow.arrived(Tokens(700), now: at(105.5 + 0.01 * Double(place))) }
        #expect(flow.newcomersPerSecond(at(109)) == 100)
    }

    @Test("newcomers are forgotten in ten seconds, and promises for later count later")
    func window() {
        var flow = ReturnFlow()
        for second in 100..<105 { flow.arrived(Tokens(800), now: at(Double(second))) }
        flow.promised(Tokens(800), at: at(118))
        #expect(flow.newcomersPerSecond(at(109)) == 300)
        #expect(flow.newcomersPerSecond(at(112)) == 0)
        for second in 116..<120 { flow.arrived(Tokens(1_600), now: at(Double(second))) }
        #expect(flow.newcomersPerSecond(at(119)) == 300)
    }
}
