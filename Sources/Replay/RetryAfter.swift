// SPDX-License-Identifier: Apache-2.0

import Transport
import Units
import Wire

/// When a refused client shall come back.
enum RetryAfter {
    /// `retry-after-ms` where there is one, else the seconds of `Retry-After` (RFC 9110 section
    /// 10.2.3); its form as a date is not read.
    static func read(_ client: ClientStream) -> Duration? {
        if let value = unsafe client.value(.retryAfterMS), let count = unsafe whole(value) {
            return .milliseconds(count)
        }
        if let value = unsafe client.value(.retryAfter), let count = unsafe whole(value) {
            return .seconds(count)
        }
        return nil
    }

    /// One to seven digits.
    private static func whole(_ value: UnsafeRawBufferPointer) -> Int? {
        guard (1...7).contains(value.count) else { return nil }
        var number = 0
        for place in 0..<value.count {
            let byte = unsafe value[place]
            guard (0x30...0x39).contains(byte) else { return nil }
            number = number * 10 + Int(byte - 0x30)
        }
        return number
    }
}
