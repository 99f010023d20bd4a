// SPDX-License-Identifier: Apache-2.0

extension UnsafeRawBufferPointer {
    /// The value of a field that is a whole positive number of at most nine digits; nil otherwise.
    var positiveNumber: Int? {
        guard (1...9).contains(count) else { return nil }
        var number = 0
        for place in indices {
            let digit = unsafe self[place]
            guard (0x30...0x39).contains(digit) else { return nil }
            number = number * 10 + Int(digit - 0x30)
        }
        return number > 0 ? number : nil
    }
}
