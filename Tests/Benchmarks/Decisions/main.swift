// SPDX-License-Identifier: Apache-2.0

import Policy
import Units

/// What decisions cost where many wait before many endpoints: nanoseconds of each event, the
/// clock's own 40 or so among them.
let targets = TargetPolicy(firstToken: .seconds(3_600), betweenTokens: .milliseconds(50))
let cases = [
    Case(name: "plain"),
    Case(name: "prefixes", groups: 2_000),
    Case(name: "targets", targets: targets),
    Case(name: "small", endpoints: 8, queued: 200),
]
let wanted = CommandLine.arguments.dropFirst()
print("case        event       events  median ns     p99 ns   p99.9 ns     mean ns")
for one in cases where wanted.isEmpty || wanted.contains(one.name) {
    var crowd = Crowd(one)
    for _ in 0..<4_000 { crowd.step() }
    for kind in Crowd.Kind.allCases {
        let spent = (crowd.spent[kind] ?? []).sorted()
        guard !spent.isEmpty else { continue }
        let at = { (share: Double) in
            spent[min(spent.count - 1, Int(share * Double(spent.count)))]
        }
        let mean = spent.reduce(0, +) / Int64(spent.count)
        let figures = [Int64(spent.count), at(0.5), at(0.99), at(0.999), mean].map { figure in
            let text = "\(figure)"
            return String(repeating: " ", count: max(0, 11 - text.count)) + text
        }
        let name = "\(one.name)          ".prefix(12) + "\(kind.rawValue)        ".prefix(8)
        print(name + figures.joined())
    }
    print("\(one.name): \(crowd.waiting) waiting, \(crowd.open) open")
}
