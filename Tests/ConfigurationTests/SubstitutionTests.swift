// SPDX-License-Identifier: Apache-2.0

import Configuration
import Policy
import Testing
import Units

@Suite struct SubstitutionTests {
    private let environment = [
        "N": "7", "EMPTY": "", "LIST": "[1, 2]", "NESTED": "${N}", "_x1": "3", "SECRET": "hunter2",
        "YAML": "1\nclasses: []",
    ]

    @Test(arguments: [
        ("${N}", 7), ("1${N}", 17), ("${N}${N}", 77), ("${N:-9}", 7), ("${EMPTY:-9}", 9),
        ("${UNSET:-9}", 9), ("${_x1}", 3), ("${UNSET:-}", 1_000),
        ("${EMPTY}", 1_000), ("$EMPTY${N:-}", nil), ("${UNSET}", nil), ("${N", nil),
        ("${}", nil), ("${1N}", nil), ("${N:9}", nil), ("${N-9}", nil), ("$N", nil), ("$$7", nil),
        ("${NESTED}", nil), ("${LIST}", nil), ("${YAML}", nil), ("${UNSET:-${N}}", nil),
    ])
    func aValueIsTakenFromTheEnvironment(text: String, expected: Int?) throws {
        let document = Document().with(.trafficClass, "queue: {max_requests: \"\(text)\"}")
        if let expected {
            let loaded = try document.load(environment: environment)
            #expect(loaded.policy.classes[0].queue.maxRequests == expected)
        } else {
            #expect(document.mistakes(environment: environment).count == 1)
        }
    }

    @Test func aVariableThatIsNotSetIsNamed() {
        let document = Document().with(.tenant, "weight: ${WEIGHT}")
        #expect(
            document.mistakes() == [
                "23:13: tenants[0].weight: the environment variable WEIGHT is not set; "
                    + "'${WEIGHT:-…}' gives it a default"
            ])
    }

    @Test func whatAVariableHoldsIsNeverShown() {
        for key in ["weight: ${SECRET}", "id: ${SECRET}!", "classes: ['${SECRET} ']"] {
            let mistakes = Document().with(.tenant, key).mistakes(environment: environment)
            #expect(!mistakes.isEmpty)
            #expect(!mistakes.joined().contains("hunter2"))
        }
        #expect(
            Document().with(.tenant, "weight: ${SECRET}").mistakes(environment: environment) == [
                "23:13: tenants[0].weight: expected a number from 0.001 to 1000, "
                    + "found '${SECRET}'"
            ])
    }

    @Test func twoDollarSignsAreOne() throws {
        let store = "store: {kind: redis, redis: {addresses: [r:1], key_prefix: '$${N}$x$$'}}"
        let loaded = try Document().with(.top, store).load(environment: environment)
        guard case .redis(let redis) = loaded.fixed.store else {
            Issue.record("not redis")
            return
        }
        #expect(redis.keyPrefix == "${N}$x$")
        #expect(loaded.effective.contains("key_prefix: \"$${N}$$x$$\""))
    }

    @Test func keysAreNotSubstituted() {
        let mistakes = Document().with(.tenant, "${N}: 1").mistakes(environment: environment)
        #expect(mistakes == ["23:5: tenants[0].${N}: unknown key"])
    }

    @Test func aVariableCanHoldOnlySoMuch() {
        let environment = ["HUGE": String(repeating: "x", count: 70_000)]
        let document = Document().with(.tenant, "weight: ${HUGE}")
        #expect(
            document.mistakes(environment: environment) == [
                "23:13: tenants[0].weight: longer than 65536 bytes after substitution"
            ])
    }
}
