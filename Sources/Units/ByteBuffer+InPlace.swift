// SPDX-License-Identifier: Apache-2.0

extension ByteBuffer {
    /// Makes room for `bytes` more, moving what is present to the front before it takes more
    /// memory.
    ///
    /// `reserve` grows instead where the move would be long; this is for buffers whose size matters
    /// more than a move now and then.
    public mutating func reserveInPlace(_ bytes: Int) {
        let present = end - start
        guard start > 0, capacityBytes - end < bytes, present + bytes <= capacityBytes,
            let base = unsafe base
        else { return reserve(bytes) }
        // The places may overlap: `copyMemory` allows it.
        unsafe base.copyMemory(from: base + start, byteCount: present)
        start = 0
        end = present
    }
}
