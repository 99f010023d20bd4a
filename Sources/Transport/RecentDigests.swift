// SPDX-License-Identifier: Apache-2.0

import Units

/// Short texts with their digests, each at the one place that its bytes and a secret choose; what
/// comes later takes the place of what was there. 12 KiB, allocated once.
@safe
final class RecentDigests {
    /// Bytes of the longest text that is remembered.
    static let longest = 128
    private static let places = 64

    private struct Entry {
        /// Zero where there is none: the empty text is not remembered.
        var count = 0
        var digest: [4 of UInt64] = [0, 0, 0, 0]
    }

    private let secret: UInt64
    private var entries = [Entry](repeating: Entry(), count: places)
    private let texts: UnsafeMutableRawBufferPointer

    init(secret: UInt64) {
        self.secret = secret
        unsafe texts = .allocate(byteCount: Self.places * Self.longest, alignment: 16)
        unsafe texts.initializeMemory(as: UInt8.self, repeating: 0)
    }

    deinit { unsafe texts.deallocate() }

    /// Where a text of at most `longest` bytes would be.
    func place(of text: UnsafeRawBufferPointer) -> Int {
        var hash = secret ^ UInt64(text.count)
        unsafe Self.forEachWord(text) { word, _ in
            let product = (hash ^ word).multipliedFullWidth(by: 0xA076_1D64_78BD_642F)
            hash = product.high ^ product.low
        }
        return Int(truncatingIfNeeded: hash >> 32) & (Self.places - 1)
    }

    /// The digest of `text` if it is the one remembered at `place`. Takes the same time wherever
    /// the difference lies.
    func digest(of text: UnsafeRawBufferPointer, at place: Int) -> [4 of UInt64]? {
        guard text.count > 0, entries[place].count == text.count else { return nil }
        var difference: UInt64 = 0
        let own = unsafe texts.baseAddress.unsafelyUnwrapped + place * Self.longest
        unsafe Self.forEachWord(text) { word, offset in
            difference |= unsafe word ^ own.load(fromByteOffset: offset, as: UInt64.self)
        }
        return difference == 0 ? entries[place].digest : nil
    }

    func remember(_ text: UnsafeRawBufferPointer, _ digest: [4 of UInt64], at place: Int) {
        let own = unsafe texts.baseAddress.unsafelyUnwrapped + place * Self.longest
        unsafe Self.forEachWord(text) { word, offset in
            unsafe own.storeBytes(of: word, toByteOffset: offset, as: UInt64.self)
        }
        entries[place] = Entry(count: text.count, digest: digest)
    }

    /// Eight bytes each with its offset, the last ones filled up with zeros.
    @inline(__always)
    private static func forEachWord(
        _ text: UnsafeRawBufferPointer, _ body: (UInt64, Int) -> Void
    ) {
        var offset = 0
        while offset + 8 <= text.count {
            body(unsafe text.loadUnaligned(fromByteOffset: offset, as: UInt64.self), offset)
            offset += 8
        }
        guard offset < text.count else { return }
        var last: UInt64 = 0
        for place in offset..<text.count {
            unsafe last |= UInt64(text[place]) << UInt64(8 * (place - offset))
        }
        body(last, offset)
    }
}

@available(*, unavailable)
extension RecentDigests: Sendable {}
