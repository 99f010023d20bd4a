// SPDX-License-Identifier: Apache-2.0

import TestSupport
import Testing
import Units

@Suite("ByteBuffer")
struct ByteBufferTests {
    private func text(_ buffer: borrowing ByteBuffer) -> String {
        unsafe String(decoding: buffer.readable, as: UTF8.self)
    }

    private func isBare(_ buffer: borrowing ByteBuffer) -> Bool {
        unsafe buffer.isEmpty && buffer.capacity == 0 && buffer.readable.isEmpty
    }

    @Test("what is appended in any form is read in order")
    func append() {
        var buffer = ByteBuffer()
        let bare1 = isBare(buffer)
        #expect(bare1)
        buffer.append("static")
        buffer.append(String("é".reversed()))
        buffer.append(byte: 0x2D)
        let bytes: [UInt8] = [0x61, 0x62, 0x63]
        buffer.append(unsafe bytes.span.bytes)
        unsafe bytes.withUnsafeBytes { unsafe buffer.append($0) }
        unsafe buffer.append(UnsafeRawBufferPointer(start: nil, count: 0))
        #expect(text(buffer) == "staticé-abcabc")
        let count = buffer.count
        #expect(count == 15)
    }

    @Test("pieces of every length are copied whole, and nothing beside them")
    func lengths() {
        let source = (0..<80).map { UInt8($0 + 1) }
        for length in 0...79 {
            var buffer = ByteBuffer()
            buffer.append("<")
            unsafe source.withUnsafeBytes {
                unsafe buffer.append(UnsafeRawBufferPointer(rebasing: $0[..<length]))
            }
            buffer.append(">")
            let bytes = unsafe Array(buffer.readable)
            #expect(bytes == [0x3C] + source[..<length] + [0x3E])
        }
    }

    @Test("it grows by doubling and keeps what it holds")
    func grow() {
        var buffer = ByteBuffer()
        var capacities: [Int] = []
        for number in 0..<10_000 {
            buffer.append(byte: UInt8(truncatingIfNeeded: number))
            if capacities.last != buffer.capacity { capacities.append(buffer.capacity) }
        }
        #expect(capacities == [256, 512, 1_024, 2_048, 4_096, 8_192, 16_384])
        for number in 0..<10_000 {
            let byte = unsafe buffer.readable[number]
            guard byte == UInt8(truncatingIfNeeded: number) else {
                Issue.record("byte \(number) is \(byte)")
                return
            }
        }
    }

    @Test("memory that was consumed is used again before more is taken")
    func reuse() {
        var buffer = ByteBuffer()
        buffer.reserve(256)
        for round in 0..<1_000 {
            buffer.append("0123456789")
            let digit = unsafe buffer.readable[round % 10]
            #expect(digit == UInt8(0x30 + round % 10))
            if round % 3 == 2 { buffer.consume(30) }
        }
        let capacity = buffer.capacity
        #expect(capacity == 256)
    }

    @Test("consuming takes from the front, dropping from the end")
    func consume() {
        var buffer = ByteBuffer()
        buffer.append("0123456789")
        buffer.consume(3)
        buffer.dropLast(2)
        #expect(text(buffer) == "34567")
        unsafe buffer.mutable[0] = 0x78
        #expect(text(buffer) == "x4567")
        buffer.consume(5)
        let isEmpty = buffer.isEmpty
        #expect(isEmpty)
        buffer.append("again")
        #expect(text(buffer) == "again")
        buffer.removeAll()
        let (count, capacity) = (buffer.count, buffer.capacity)
        #expect(count == 0 && capacity == 256)
        buffer.release()
        let bare2 = isBare(buffer)
        #expect(bare2)
    }

    @Test("what is written into its room is there")
    func room() {
        var buffer = ByteBuffer()
        buffer.append("head")
        let room = unsafe buffer.room(300)
        let size = room.count
        #expect(size >= 300)
        for place in 0..<300 { unsafe room[place] = 0x61 }
        buffer.wrote(2)
        #expect(text(buffer) == "headaa")
        buffer.wrote(0)
        let count = buffer.count
        #expect(count == 6)
    }

    @Test("memory passes from one owner to the next")
    func adopt() {
        var buffer = ByteBuffer()
        let nothing = unsafe buffer.surrender() == nil
        #expect(nothing)
        buffer.append("something")
        let capacity = buffer.capacity
        guard let memory = unsafe buffer.surrender() else {
            Issue.record("it held memory")
            return
        }
        let size = memory.count
        #expect(size == capacity)
        let bare3 = isBare(buffer)
        #expect(bare3)
        buffer.append("of its own")
        #expect(text(buffer) == "of its own")
        var heir = unsafe ByteBuffer(adopting: memory)
        let isWhole = heir.isEmpty && heir.capacity == capacity
        #expect(isWhole)
        heir.append("new")
        #expect(text(heir) == "new")
    }

    @Test(
        "numbers are written as the standard library writes them",
        arguments: [
            0, 1, 9, 10, 11, 99, 100, 101, 12_345, 999_999_999, 1_000_000_000, -1, -10, -999,
            1_000_000_000_000_000_000, 999_999_999_999_999_999, Int.max, Int.max - 1, Int.min,
            Int.min + 1,
        ])
    func decimal(value: Int) {
        var buffer = ByteBuffer()
        buffer.append("<")
        buffer.append(decimal: value)
        buffer.append(">")
        #expect(text(buffer) == "<\(value)>")
    }

    @Test(
        "hexadecimal digits are lowercase and lead with none but zero itself",
        arguments: [0, 1, 9, 10, 15, 16, 255, 256, 0xABCDEF, 1 << 32, Int.max])
    func hexadecimal(value: Int) {
        var buffer = ByteBuffer()
        buffer.append(hexadecimal: value)
        #expect(text(buffer) == String(value, radix: 16))
    }

    @Test("every power of ten and its neighbours", arguments: 0..<19)
    func powers(exponent: Int) {
        var power = 1
        for _ in 0..<exponent { power *= 10 }
        for value in [power - 1, power, power + 1, -power] {
            var buffer = ByteBuffer()
            buffer.append(decimal: value)
            #expect(text(buffer) == String(value))
        }
    }

    @Test("it behaves like an array", arguments: 0..<20 as Range<UInt64>)
    func model(seed: UInt64) {
        var random = SplitMix64(seed: seed)
        var buffer = ByteBuffer()
        var model: [UInt8] = []
        for _ in 0..<500 {
            let size = Int(random.next() % 200)
            switch random.next() % 5 {
            case 0, 1:
                let bytes = (0..<size).map { _ in UInt8(truncatingIfNeeded: random.next()) }
                unsafe bytes.withUnsafeBytes { unsafe buffer.append($0) }
                model += bytes
            case 2:
                let count = min(size, model.count)
                buffer.consume(count)
                model.removeFirst(count)
            case 3:
                let count = min(size / 4, model.count)
                buffer.dropLast(count)
                model.removeLast(count)
            default:
                if random.next() % 20 == 0 {
                    buffer.release()
                    model = []
                } else {
                    buffer.reserve(size)
                }
            }
            let isEqual = unsafe buffer.count == model.count && buffer.readable.elementsEqual(model)
            guard isEqual else {
                Issue.record("seed \(seed)")
                return
            }
        }
    }
}
