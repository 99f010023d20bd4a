// SPDX-License-Identifier: Apache-2.0
import CPlatform
import Glibc
import Units

/// What the system grants the process.
package enum Limits {
    /// Lifts the soft limit of open files to the hard one, where that is allowed; both as they are then.
    package static func raiseOpenFiles() -> (soft: Int, hard: Int) {
        var soft: UInt64 = 0
        var hard: UInt64 = 0
        System.expect(System.once { unsafe penstock_raise_open_files(&soft, &hard) })
        return (Int(clamping: soft), Int(clamping: hard))
    }

    /// Processors that the process may run on, at least 1.
    package static var processors: Int { max(1, Int(penstock_processors())) }
}

/// Randomness of the operating system, for seeding a generator only.
package func randomSeed() -> UInt64 {
    var seed: UInt64 = 0
    System.expect(System.retrying { unsafe penstock_random(&seed) })
    return seed
}
