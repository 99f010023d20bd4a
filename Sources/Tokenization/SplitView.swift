// SPDX-License-Identifier: Apache-2.0

/// A rule at work on a text: pointers into the rule's tables, valid while the rule is held.
@safe
struct SplitView {
    private let bits: UnsafePointer<UInt32>
    private let starts: UnsafePointer<UInt32>
    private let codes: UnsafePointer<SplitRule.Code>
    private let parts: UnsafePointer<SplitRule.Part>?
    private let words: UnsafePointer<UInt32>?
    private let blocks: UnsafePointer<UInt16>
    private let symbols: UnsafePointer<UInt8>
    private let space: UInt32
    let behavior: SplitRule.Behavior

    /// Lends the tables of `rule` to `body`.
    @inline(__always)
    static func with<Result>(_ rule: SplitRule, _ body: (SplitView) -> Result) -> Result {
        let tables = CharacterKind.tables
        return unsafe rule.bits.withUnsafeBufferPointer { bits in
            unsafe rule.starts.withUnsafeBufferPointer { starts in
                unsafe rule.codes.withUnsafeBufferPointer { codes in
                    unsafe rule.parts.withUnsafeBufferPointer { parts in
                        unsafe rule.words.withUnsafeBufferPointer { words in
                            unsafe tables.blocks.withUnsafeBufferPointer { blocks in
                                unsafe tables.symbols.withUnsafeBufferPointer { symbols in
                                    unsafe body(
                                        SplitView(
                                            bits: bits.baseAddress.unsafelyUnwrapped,
                                            starts: starts.baseAddress.unsafelyUnwrapped,
                                            codes: codes.baseAddress.unsafelyUnwrapped,
                                            parts: parts.baseAddress, words: words.baseAddress,
                                            blocks: blocks.baseAddress.unsafelyUnwrapped,
                                            symbols: symbols.baseAddress.unsafelyUnwrapped,
                                            space: rule.spaceMask,
                                            behavior: rule.behavior))
                                }
                            }
                        }
                    }
                }
            }
        }
    }

    /// A character's symbol and its length; a byte that begins no whole character counts as
    /// U+FFFD.
    @inline(__always)
    private func character(_ text: Text, _ at: Int) -> (symbol: Int, length: Int) {
        let lead = text.byte(at)
        if lead < 0x80 { return (Int(lead), 1) }
        return beyondASCII(text, at, lead)
    }

    @inline(__always)
    private func beyondASCII(_ text: Text, _ at: Int, _ lead: UInt8) -> (symbol: Int, length: Int) {
        let (code, length) = text.code(at, lead)
        let block = unsafe Int(blocks[Int(code >> 7)])
        return unsafe (Int(symbols[block << 7 | Int(code & 127)]), length)
    }

    /// Where the first arm that matches at `at` ends; `at` itself where none does.
    @inline(__always)
    func match(_ text: Text, _ at: Int) -> Int {
        let first = character(text, at)
        var open = unsafe starts[first.symbol]
        while open != 0 {
            let end = unsafe match(codes[open.trailingZeroBitCount], text, at, first)
            if end > at { return end }
            open &= open &- 1
        }
        return at
    }

    @inline(__always)
    private func match(
        _ code: SplitRule.Code, _ text: Text, _ at: Int, _ first: (symbol: Int, length: Int)
    ) -> Int {
        switch code.shape {
        case .words: return word(code, text, at) ?? at
        case .run:
            if unsafe bits[first.symbol] & code.lead != 0 {
                let end = run(code, text, at + first.length)
                if end >= 0 { return suffix(code, text, end) }
                if !code.givesLeadBack { return at }
            }
            let end = run(code, text, at)
            return end >= 0 ? suffix(code, text, end) : at
        case .overlapping:
            if unsafe bits[first.symbol] & code.lead != 0 {
                let end = overlapping(code, text, at + first.length)
                if end >= 0 { return suffix(code, text, end) }
                if !code.givesLeadBack { return at }
            }
            let end = overlapping(code, text, at)
            return end >= 0 ? suffix(code, text, end) : at
        case .spaceToLineEnd: return lineEnd(code, text, at)
        case .spaceBeforeInk: return beforeInk(text, at)
        case .spaceAtEnd:
            let end = pass(space, .max, text, at).end
            return end == text.count ? end : at
        }
    }
}

// MARK: Leaves

extension SplitView {
    /// Passes over characters of a set, at most `max`.
    @inline(__always)
    private func pass(_ mask: UInt32, _ max: Int32, _ text: Text, _ start: Int) -> (
        end: Int, count: Int32
    ) {
        var at = start
        var count: Int32 = 0
        while at < text.count, count < max {
            let lead = text.byte(at)
            if lead < 0x80 {
                if unsafe bits[Int(lead)] & mask == 0 { break }
                at &+= 1
            } else {
                let next = beyondASCII(text, at, lead)
                if unsafe bits[next.symbol] & mask == 0 { break }
                at &+= next.length
            }
            count &+= 1
        }
        return (at, count)
    }

    /// Behind all parts; -1 where one is missing.
    @inline(__always)
    private func run(_ code: SplitRule.Code, _ text: Text, _ start: Int) -> Int {
        var at = start
        for place in code.parts {
            let part = unsafe parts.unsafelyUnwrapped[Int(place)]
            let (end, count) = pass(part.mask, part.max, text, at)
            if count < part.min { return -1 }
            at = end
        }
        return at
    }

    /// `A*B+`; -1 where there is no B to be had.
    @inline(__always)
    private func overlapping(_ code: SplitRule.Code, _ text: Text, _ start: Int) -> Int {
        let first = unsafe parts.unsafelyUnwrapped[Int(code.parts.lowerBound)].mask
        let second = unsafe parts.unsafelyUnwrapped[Int(code.parts.lowerBound) + 1].mask
        var at = start
        var lastShared = -1
        while at < text.count {
            let next = character(text, at)
            let sets = unsafe bits[next.symbol]
            if sets & first == 0 { break }
            at += next.length
            if sets & second != 0 { lastShared = at }
        }
        let end = pass(second, .max, text, at).end
        return end > at ? end : lastShared
    }

    @inline(__always)
    private func suffix(_ code: SplitRule.Code, _ text: Text, _ at: Int) -> Int {
        if code.words.isEmpty || at == text.count { return at }
        return word(code, text, at) ?? at
    }

    /// Behind the first of the words that stands at `start`.
    @inline(__always)
    private func word(_ code: SplitRule.Code, _ text: Text, _ start: Int) -> Int? {
        var at = start
        var place = Int(code.words.lowerBound)
        while place < Int(code.words.upperBound) {
            let mask = unsafe words.unsafelyUnwrapped[place]
            if mask == 0 { return at }
            if at < text.count {
                let next = character(text, at)
                if unsafe bits[next.symbol] & mask != 0 {
                    at += next.length
                    place += 1
                    continue
                }
            }
            while unsafe words.unsafelyUnwrapped[place] != 0 { place += 1 }
            place += 1
            at = start
        }
        return nil
    }

    /// Behind the last line end in the white space at `start`; `start` where there is none.
    @inline(__always)
    private func lineEnd(_ code: SplitRule.Code, _ text: Text, _ start: Int) -> Int {
        var at = start
        var last = start
        while at < text.count {
            let next = character(text, at)
            let sets = unsafe bits[next.symbol]
            if sets & space == 0 { break }
            at += next.length
            if sets & code.mask != 0 { last = at }
        }
        return last
    }

    /// Behind the white space at `start` but its last character, unless the text ends there.
    @inline(__always)
    private func beforeInk(_ text: Text, _ start: Int) -> Int {
        var at = start
        var last = start
        while at < text.count {
            let next = character(text, at)
            if unsafe bits[next.symbol] & space == 0 { return last }
            last = at
            at += next.length
        }
        return at
    }
}
