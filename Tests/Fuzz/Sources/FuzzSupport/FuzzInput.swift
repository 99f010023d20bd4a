// SPDX-License-Identifier: Apache-2.0

import CFuzzer
import Glibc
import Units

/// What the fuzzer made up: two bytes that say how the rest is cut and bounded, and the rest.
public struct FuzzInput {
    /// Chosen by the fuzzer, for limits.
    public let choice: UInt8
    public let bytes: [UInt8]
    private let seed: UInt8

    public init(_ data: UnsafeRawBufferPointer) {
        let all = unsafe Array(data)
        choice = all.first ?? 0
        seed = all.count > 1 ? all[1] : 0
        bytes = Array(all.dropFirst(2))
    }

    /// Ascending places to cut the bytes at, the end last: one for a seed of 0, every byte for 255.
    public var cuts: [Int] {
        if seed == 255 { return Array(0...bytes.count) }
        var random = SplitMix64(seed: UInt64(seed))
        let cuts = (0..<Int(seed & 7)).map { _ in
            Int(truncatingIfNeeded: random.next() >> 1) % (bytes.count + 1)
        }
        return cuts.sorted() + [bytes.count]
    }
}

/// Stops the fuzzer on an answer that is wrong, so that it keeps the input.
public func check(_ fact: Bool, _ name: StaticString) {
    if !fact { fatalError("\(name)") }
}

/// Runs libFuzzer with the arguments of the process.
public func runFuzzer(
    _ oneInput: @convention(c) (UnsafePointer<UInt8>?, Int) -> CInt
) -> Never {
    var count = CommandLine.argc
    var arguments: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>? =
        unsafe CommandLine.unsafeArgv
    exit(unsafe LLVMFuzzerRunDriver(&count, &arguments, oneInput))
}
