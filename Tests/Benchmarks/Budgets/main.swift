// SPDX-License-Identifier: Apache-2.0

import TestSupport

/// What decisions about budgets cost with a Redis on the same machine: CPU of this thread and of
/// the server for each request, reserved and settled. Medians over rounds in which the cases take
/// turns. `budgets ROUNDS CASE` measures the one case alone, as for a profiler.
let rounds = CommandLine.arguments.count > 1 ? Int(CommandLine.arguments[1]) ?? 5 : 5
let server = RedisServer()
server.start()
let only = CommandLine.arguments.count > 2 ? Int(CommandLine.arguments[2]) : nil
let cases = Case.all.enumerated().filter { only == nil || $0.offset + 1 == only }.map(\.element)
var found: [[Figures]] = cases.map { _ in [] }
for _ in 0..<rounds {
    for (place, one) in cases.enumerated() {
        guard let figures = try? Bench(server, one).run() else { fatalError("no measurement") }
        found[place].append(figures)
    }
}
print("decisions by                 limits  a second  ns, gateway  ns, Redis  round trips  rounds")
for (place, one) in cases.enumerated() {
    let gateway = median(found[place].map(\.gatewayNanoseconds))
    let words = [
        column(one.name, -28), column(one.limits.count.description, 7),
        column(Int(1e9 / gateway).description, 10), column(Int(gateway).description, 13),
        column(Int(median(found[place].map(\.serverNanoseconds))).description, 11),
        column(decimals(median(found[place].map(\.roundTrips))), 13),
        column(rounds.description, 8),
    ]
    print(words.joined())
}
server.kill()

func median(_ numbers: [Double]) -> Double {
    let sorted = numbers.sorted()
    return sorted.isEmpty ? 0 : sorted[sorted.count / 2]
}

/// Negative: to the left.
func column(_ text: String, _ width: Int) -> String {
    let spaces = String(repeating: " ", count: max(0, abs(width) - text.count))
    return width < 0 ? text + spaces : spaces + text
}

/// With three digits behind the point.
func decimals(_ number: Double) -> String {
    let thousandths = Int((number * 1_000).rounded())
    let rest = String(thousandths % 1_000)
    return "\(thousandths / 1_000)." + String(repeating: "0", count: 3 - rest.count) + rest
}
