// SPDX-License-Identifier: Apache-2.0

import Units

/// Blocks of one size that the connections of a loop lend each other: an idle connection holds
/// none.
@safe
struct BufferPool: ~Copyable {
    private var blocks: [UnsafeMutableRawBufferPointer] = unsafe []
    private let blockSize: Int
    private let limit: Int

    /// Keeps at most `limit` unused blocks of `blockSize` bytes.
    init(blockSize: Int, limit: Int) {
        self.blockSize = blockSize
        self.limit = limit
        unsafe blocks.reserveCapacity(limit)
    }

    deinit {
        for place in unsafe blocks.indices { unsafe blocks[place].deallocate() }
    }

    /// An empty buffer with one block of room.
    mutating func lend() -> ByteBuffer {
        if let block = unsafe blocks.popLast() { return unsafe ByteBuffer(adopting: block) }
        return unsafe ByteBuffer(
            adopting: UnsafeMutableRawBufferPointer.allocate(byteCount: blockSize, alignment: 16))
    }

    /// Takes the buffer's memory back; a buffer that has grown is freed.
    mutating func takeBack(_ buffer: inout ByteBuffer) {
        guard let memory = unsafe buffer.surrender() else { return }
        if memory.count == blockSize, unsafe blocks.count < limit {
            unsafe blocks.append(memory)
        } else {
            unsafe memory.deallocate()
        }
    }
}
