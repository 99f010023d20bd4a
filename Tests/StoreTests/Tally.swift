// SPDX-License-Identifier: Apache-2.0

import Synchronization

/// Numbers that several threads of a test report.
final class Tally: Sendable {
    private let reported = Mutex<[Int]>([])

    func report(_ number: Int) { reported.withLock { $0.append(number) } }

    var numbers: [Int] { reported.withLock { $0 } }
}
