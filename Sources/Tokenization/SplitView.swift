// SPDX-License-Identifier: Apache-2.0

/// A rule at work on a text: pointers into the rule's tables, valid while the rule is held.
@safe
struct SplitView {
    private let classes: UnsafePointer<UInt8>
    private let moves: UnsafePointer<UInt16>
    private let blocks: UnsafePointer<UInt16>
    private let symbols: UnsafePointer<UInt8>
    private let first: Int
    private let endClass: Int
    let behavior: SplitRule.Behavior

    /// Lends the tables of `rule` to `body`.
    @inline(__always)
    static func with<Result>(_ rule: SplitRule, _ body: (SplitView) -> Result) -> Result {
        let tables = CharacterKind.tables
        return unsafe rule.classes.withUnsafeBufferPointer { classes in
            unsafe rule.moves.withUnsafeBufferPointer { moves in
                unsafe tables.blocks.withUnsafeBufferPointer { blocks in
                    unsafe tables.symbols.withUnsafeBufferPointer { symbols in
                        unsafe body(
                            SplitView(
                                classes: classes.baseAddress.unsafelyUnwrapped,
                                moves: moves.baseAddress.unsafelyUnwrapped,
                                blocks: blocks.baseAddress.unsafelyUnwrapped,
                                symbols: symbols.baseAddress.unsafelyUnwrapped,
                                first: rule.first, endClass: rule.endClass,
                                behavior: rule.behavior))
                    }
                }
            }
        }
    }

    /// Where the match at `start` ends; `start` itself where there is none.
    ///
    /// Most characters leave the state as it is: for them nothing is kept but the place.
    @inline(__always)
    func match(_ text: Text, _ start: Int) -> Int {
        var move = SplitRule.noMove
        var row = first
        var at = start
        var before = start
        var end = start
        while at < text.count {
            let lead = text.byte(at)
            var symbol = Int(lead)
            var length = 1
            if lead >= 0x80 { (symbol, length) = beyondASCII(text, at, lead) }
            let next = unsafe moves[row &+ Int(classes[symbol])]
            if next != move {
                if move & SplitRule.ends != 0 { end = before }
                if next & SplitRule.ends != 0 { end = at }
                move = next
                row = Int(next & ~SplitRule.ends)
                if row == 0 { return end }
            }
            before = at
            at &+= length
        }
        if unsafe moves[row &+ endClass] & SplitRule.ends != 0 { return at }
        return move & SplitRule.ends != 0 ? before : end
    }

    /// A character's symbol and its length; a byte that begins no whole character counts as
    /// U+FFFD.
    @inline(__always)
    private func beyondASCII(_ text: Text, _ at: Int, _ lead: UInt8) -> (symbol: Int, length: Int) {
        let (code, length) = text.code(at, lead)
        let block = unsafe Int(blocks[Int(code >> 7)])
        return unsafe (Int(symbols[block << 7 | Int(code & 127)]), length)
    }
}
