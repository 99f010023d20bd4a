// SPDX-License-Identifier: Apache-2.0

/// Tokens that are found in a text before it is cut, such as `<|im_end|>`: at each place the
/// longest one.
struct AddedTokens: Sendable {
    struct Token: Sendable {
        let id: UInt32
        let content: [UInt8]
        /// Not within a word.
        var isSingleWord = false
        /// With the white space before it, and behind it.
        var stripsLeft = false
        var stripsRight = false
    }

    private struct Node: Sendable {
        let byte: UInt8
        var child: Int32 = -1
        var sibling: Int32 = -1
        var token: Int32 = -1
    }

    private var tokens: [Token] = []
    private var nodes: [Node] = [Node(byte: 0)]
    private var isFirst = [Bool](repeating: false, count: 256)

    init() {}

    init(_ tokens: [Token]) {
        for token in tokens where !token.content.isEmpty { insert(token) }
    }

    var isEmpty: Bool { tokens.isEmpty }

    private mutating func insert(_ token: Token) {
        isFirst[Int(token.content[0])] = true
        var node = 0
        for byte in token.content { node = child(of: node, byte) ?? addChild(to: node, byte) }
        nodes[node].token = Int32(tokens.count)
        tokens.append(token)
    }

    private mutating func addChild(to node: Int, _ byte: UInt8) -> Int {
        nodes.append(Node(byte: byte, sibling: nodes[node].child))
        nodes[node].child = Int32(nodes.count - 1)
        return nodes.count - 1
    }

    private func child(of node: Int, _ byte: UInt8) -> Int? {
        var at = nodes[node].child
        while at >= 0, nodes[Int(at)].byte != byte { at = nodes[Int(at)].sibling }
        return at >= 0 ? Int(at) : nil
    }

    /// The longest token that stands at `start`, and where it ends.
    private func match(_ text: Text, _ start: Int) -> (token: Token, end: Int)? {
        var node = 0
        var at = start
        var found: (Int, Int)?
        while at < text.count, let next = child(of: node, text.byte(at)) {
            node = next
            at += 1
            if nodes[node].token >= 0 { found = (Int(nodes[node].token), at) }
        }
        return found.map { (tokens[$0.0], $0.1) }
    }

    /// Counts the tokens of `text` and gives what stands between them to `body`, with whether it
    /// begins the text.
    func cut(_ text: Text, _ counter: TokenCounter, _ body: (Text, Bool) -> Void) {
        guard !tokens.isEmpty else { return body(text, true) }
        var at = 0
        var gap = 0
        while at < text.count {
            guard isFirst[Int(text.byte(at))], let (token, end) = match(text, at) else {
                at += 1
                continue
            }
            var start = at
            at = end
            if token.isSingleWord, text.isWord(before: start) || text.isWord(at: end) { continue }
            var stop = end
            if token.stripsLeft { start = max(gap, text.inkEnd(before: start)) }
            if token.stripsRight { stop = text.inkStart(from: stop) }
            if gap < start { body(text.part(gap, start), gap == 0) }
            counter.add(token.id)
            gap = stop
        }
        if gap < text.count { body(text.part(gap, text.count), gap == 0) }
    }
}

extension Text {
    fileprivate func meaning(_ at: Int) -> (meaning: UInt8, length: Int) {
        let lead = byte(at)
        if lead < 0x80 { return (CharacterKind.tables.meanings[Int(lead)], 1) }
        let (code, length) = code(at, lead)
        return (CharacterKind.tables.meanings[Int(CharacterKind.symbol(of: code))], length)
    }

    /// Where the character before `end` begins.
    private func start(before end: Int) -> Int {
        var at = end - 1
        while at > 0, at > end - 4, byte(at) & 0xC0 == 0x80 { at -= 1 }
        return at
    }

    fileprivate func isWord(at start: Int) -> Bool {
        start < count && meaning(start).meaning & CharacterKind.word != 0
    }

    fileprivate func isWord(before end: Int) -> Bool { end > 0 && isWord(at: start(before: end)) }

    /// Behind the last character before `end` that is no white space.
    fileprivate func inkEnd(before end: Int) -> Int {
        var at = end
        while at > 0 {
            let previous = start(before: at)
            if meaning(previous).meaning & CharacterKind.space == 0 { break }
            at = previous
        }
        return at
    }

    /// The first character from `start` on that is no white space.
    fileprivate func inkStart(from start: Int) -> Int {
        var at = start
        while at < count {
            let next = meaning(at)
            if next.meaning & CharacterKind.space == 0 { break }
            at += next.length
        }
        return at
    }
}
