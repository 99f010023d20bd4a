// SPDX-License-Identifier: Apache-2.0
import Glibc
import Units

/// The lines of a file, one after the other, in a memory that does not grow with it; for a command
/// that may block.
public struct LineReader: ~Copyable {
    private static let pieceBytes = 1 << 20

    private let handle: Descriptor
    private let longest: Int
    private var buffer = ByteBuffer()
    private var isAtEnd = false
    /// The bytes up to the next line feed belong to a line that was too long.
    private var isSkipping = false

    /// Opens the file. Lines of more than `longest` bytes are told of and skipped.
    public init(_ path: String, longest: Int) throws(SystemFault) {
        let path = Files.shown(path)
        self.longest = longest
        handle = try Descriptor(
            checking: System.retrying { unsafe open(path, O_RDONLY | O_CLOEXEC) })
    }

    /// What was found.
    public enum Found: Sendable {
        case line
        case tooLong
        case end
    }

    /// Calls `body` with the next line, without its line feed, unless it is too long. The last one
    /// may have none.
    public mutating func next(_ body: (RawSpan) -> Void) throws(SystemFault) -> Found {
        var looked = 0
        while true {
            let present = unsafe buffer.readable
            let rest = unsafe UnsafeRawBufferPointer(rebasing: present[looked...])
            if let offset = unsafe rest.firstIndex(of: UInt8(ascii: "\n")) {
                let count = looked + offset
                let isWhole = !isSkipping && count <= longest
                if isWhole {
                    unsafe body(UnsafeRawBufferPointer(rebasing: present[..<count]).bytes)
                }
                let wasSkipping = isSkipping
                isSkipping = false
                buffer.consume(count + 1)
                if wasSkipping {
                    looked = 0
                    continue
                }
                return isWhole ? .line : .tooLong
            }
            looked = present.count
            if looked > longest {
                buffer.consume(looked)
                looked = 0
                let isFirst = !isSkipping
                isSkipping = true
                if isFirst { return .tooLong }
            }
            if isAtEnd { return finish(body) }
            try fill()
        }
    }

    private mutating func finish(_ body: (RawSpan) -> Void) -> Found {
        guard !buffer.isEmpty, !isSkipping else { return .end }
        unsafe body(buffer.readable.bytes)
        buffer.consume(buffer.count)
        return .line
    }

    private mutating func fill() throws(SystemFault) {
        let raw = handle.raw
        let room = unsafe buffer.room(Self.pieceBytes)
        let count = try System.check(
            System.retrying { unsafe read(raw, room.baseAddress, Self.pieceBytes) })
        buffer.wrote(count)
        if count == 0 { isAtEnd = true }
    }
}
