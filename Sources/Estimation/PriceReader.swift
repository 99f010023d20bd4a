// SPDX-License-Identifier: Apache-2.0

/// Where a text is read, and what the bytes before have cost.
///
/// The entries of both tables are added up as they are, numbers of kinds and states, prices and
/// words that begin at once: a piece of up to `longest` bytes brings none of these parts into the
/// next one.
struct Lane {
    /// 32 × the state of the word there.
    var word: Int
    var pairs = 0
    var words = 0

    static let longest = 4_096
    /// Where the parts of an entry stand: a number below 2^13, a price of less than four tokens in
    /// 1/4096 token, and one where a word begins.
    static let price = 25
    static let begun = 52
    static let prices = -16_383...16_383

    static func entry(_ number: Int, price: Int16, begins: Bool = false) -> Int {
        let price = Int(min(max(Int(price), prices.lowerBound), prices.upperBound))
        return number + price << Lane.price + (begins ? 1 << Lane.begun : 0)
    }

    /// Words that have begun.
    var begun: Int { Int(UInt(bitPattern: words &+ 1 << (Lane.begun - 1)) >> UInt(Lane.begun)) }
    /// In 1/4096 token.
    var sum: Int { pairs >> Lane.price &+ (words &- begun << Lane.begun) >> Lane.price }
}

/// Adds up what the bytes of a piece cost.
///
/// A byte's state follows from the one before, so that a single row of look-ups would wait for
/// memory at each. Long pieces are read at four places at once: each begins where the state is
/// known whatever came before, behind a run's first byte, as most spaces are. Where a text has no
/// such places, it is read in one row, at a third of the speed.
@unsafe
struct PriceReader {
    let octets: UnsafePointer<UInt8>
    let pairs: UnsafePointer<Int>
    let words: UnsafePointer<Int>
    /// By kind: 32 × the state behind one byte of it, or less than zero where a word goes on.
    let alone: UnsafePointer<Int>

    /// From here on four places are worth it.
    private static let wide = 128
    /// So far from where it should begin a place is looked for.
    private static let reach = 96

    /// Takes the bytes of `range`, before which there is one.
    @inline(__always)
    func read(_ range: Range<Int>, _ lane: Lane) -> Lane {
        guard unsafe range.count >= Self.wide, let starts = unsafe starts(in: range) else {
            var word = lane.word
            var sums = (pairs: lane.pairs, words: lane.words)
            unsafe readAlong(range, &word, &sums)
            return Lane(word: word, pairs: sums.pairs, words: sums.words)
        }
        return unsafe readAtOnce(range, starts, lane)
    }

    /// Takes the byte of which `pair` is the entry behind the byte before.
    @inline(__always)
    func take(_ pair: Int, _ word: inout Int, _ sums: inout (pairs: Int, words: Int)) {
        sums.pairs &+= pair
        let entry = unsafe words[word &+ pair & 0xFF]
        sums.words &+= entry
        word = entry & 0xFFFF
    }

    /// The entry of the byte at `place` behind the one before it.
    @inline(__always)
    private func pair(_ place: UnsafePointer<UInt8>) -> Int {
        let pair = unsafe UnsafeRawPointer(place - 1).loadUnaligned(as: UInt16.self)
        return unsafe pairs[Int(UInt16(littleEndian: pair))]
    }

    /// In one row.
    @inline(__always)
    private func readAlong(
        _ range: Range<Int>, _ word: inout Int, _ sums: inout (pairs: Int, words: Int)
    ) {
        for at in range { unsafe take(pair(octets + at), &word, &sums) }
    }

    @inline(__always)
    private func readAtOnce(
        _ range: Range<Int>, _ starts: (Start, Start, Start), _ lane: Lane
    ) -> Lane {
        var words = (lane.word, starts.0.word, starts.1.word, starts.2.word)
        var sums = (pairs: lane.pairs, words: lane.words)
        let ends = (starts.0.at, starts.1.at, starts.2.at, range.upperBound)
        let common = min(
            min(ends.0 - range.lowerBound, ends.1 - ends.0), min(ends.2 - ends.1, ends.3 - ends.2))
        let (a, b, c, d) = unsafe (
            octets + range.lowerBound, octets + ends.0, octets + ends.1, octets + ends.2
        )
        for at in 0..<common {
            unsafe take(pair(a + at), &words.0, &sums)
            unsafe take(pair(b + at), &words.1, &sums)
            unsafe take(pair(c + at), &words.2, &sums)
            unsafe take(pair(d + at), &words.3, &sums)
        }
        unsafe readAlong(range.lowerBound + common..<ends.0, &words.0, &sums)
        unsafe readAlong(ends.0 + common..<ends.1, &words.1, &sums)
        unsafe readAlong(ends.1 + common..<ends.2, &words.2, &sums)
        unsafe readAlong(ends.2 + common..<ends.3, &words.3, &sums)
        return Lane(word: words.3, pairs: sums.pairs, words: sums.words)
    }

    // MARK: Where the state is known

    private struct Start {
        var at: Int
        var word: Int
    }

    private func starts(in range: Range<Int>) -> (Start, Start, Start)? {
        let quarter = range.count / 4
        guard
            let first = unsafe start(near: range.lowerBound + quarter, range.upperBound),
            let second = unsafe start(near: range.lowerBound + 2 * quarter, range.upperBound),
            let third = unsafe start(near: range.lowerBound + 3 * quarter, range.upperBound),
            first.at <= second.at, second.at <= third.at
        else { return nil }
        return (first, second, third)
    }

    /// Behind the first byte of a run that ends whatever was before it.
    private func start(near place: Int, _ end: Int) -> Start? {
        var at = place
        let last = unsafe min(place + Self.reach, end)
        var before = unsafe kindBefore(at)
        while at < last {
            let kind = unsafe kind(at)
            at += 1
            if kind == ByteKind.continuation.rawValue { continue }
            let word = unsafe alone[kind]
            if word >= 0, before >= 0, kind != before { return Start(at: at, word: word) }
            before = kind
        }
        return nil
    }

    private func kind(_ at: Int) -> Int { unsafe pairs[Int(octets[at]) << 8] & 0xFF }

    /// Of the last byte before `at` that is no continuation; less than zero where it is not near,
    /// so that no kind is taken for another one.
    private func kindBefore(_ at: Int) -> Int {
        var place = at - 1
        while place >= max(0, at - 4) {
            let kind = unsafe kind(place)
            if kind != ByteKind.continuation.rawValue { return kind }
            place -= 1
        }
        return -1
    }
}
