// SPDX-License-Identifier: Apache-2.0

/// A sequence of tokens that the house does without, and what it does in their place.
struct WordRule: Sendable, CustomStringConvertible {
    /// Which files a rule speaks to.
    enum Reach: Sendable {
        case everywhere
        /// `Sources` and not `Tests`.
        case sources
        /// The targets that decide, which touch nothing of the world.
        case pureRooms
        /// Everything but one target.
        case allBut(String)
    }

    let name: String
    let words: [String]
    let reach: Reach
    let instead: String
    /// What `words` must not follow to count.
    let notAfter: Set<String>

    init(
        _ words: String..., reach: Reach = .everywhere, notAfter: Set<String> = [],
        instead: String
    ) {
        name = words.joined()
        self.words = words
        self.reach = reach
        self.instead = instead
        self.notAfter = notAfter
    }

    var description: String { name }

    func offences(in source: SwiftSource) -> [Offence] {
        guard applies(to: source.file) else { return [] }
        return source.tokens.indices.compactMap { place in
            guard isMatch(at: place, in: source) else { return nil }
            return Offence(source.file, line: source.tokens[place].line, "\(name): \(instead)")
        }
    }

    private func applies(to file: SourceFile) -> Bool {
        switch reach {
        case .everywhere: true
        case .sources: file.room != nil
        case .pureRooms: file.room.map { ImportRule.pure[$0] != nil } ?? false
        case .allBut(let room): file.room != nil && file.room != room
        }
    }

    private func isMatch(at place: Int, in source: SwiftSource) -> Bool {
        guard source.tokens[place].text == words[0],
            source.texts(from: place, count: words.count).map(\.text) == words
        else { return false }
        return place == 0 || !notAfter.contains(source.tokens[place - 1].text)
    }
}

extension WordRule {
    private static let clock = "take the `now` that came with the call; the loop reads the clock"
    private static let seeded = "pass the generator in: `using: &random`, a seeded SplitMix64"
    private static let timer = "set a timer of the loop; a test waits for the event itself"
    private static let thread = "a LoopThread and its Mailbox"
    private static let slot = "keep the key of a Slab; the owner outlives by construction"
    private static let proof = "let the compiler see it: values, ~Copyable owners, a Mutex"

    static let all: [WordRule] = [
        WordRule("try", "!", instead: "catch the typed error, or say `invariant`"),
        WordRule("as", "!", instead: "`as?` and an answer for nil, or a type that needs no cast"),
        WordRule("Date", "(", instead: clock),
        WordRule("ContinuousClock", instead: clock),
        WordRule("SuspendingClock", instead: clock),
        WordRule("SystemRandomNumberGenerator", reach: .allBut("penstock"), instead: seeded),
        WordRule("randomElement", "(", ")", instead: seeded),
        WordRule("shuffled", "(", ")", instead: seeded),
        WordRule("shuffle", "(", ")", instead: seeded),
        WordRule("sleep", "(", notAfter: ["func"], instead: timer),
        WordRule("usleep", "(", instead: timer),
        WordRule("nanosleep", "(", instead: timer),
        WordRule("Task", "{", instead: thread),
        WordRule("Task", "(", instead: thread),
        WordRule("Task", ".", "detached", instead: thread),
        WordRule("actor", reach: .sources, notAfter: ["."], instead: thread),
        WordRule("await", reach: .sources, instead: thread),
        WordRule("DispatchQueue", instead: thread),
        WordRule("weak", "var", instead: slot),
        WordRule("weak", "let", instead: slot),
        WordRule("[", "weak", instead: slot),
        WordRule("unowned", instead: slot),
        WordRule("@", "unchecked", instead: proof),
        WordRule("nonisolated", "(", "unsafe", ")", instead: proof),
        WordRule("@", "testable", instead: "tests see what is `public`"),
        // What `package` declares is neither inlined nor specialised in other modules by Swift 6.3.
        WordRule(
            "package", reach: .sources,
            instead: "`public`: there are no outside users, and the optimiser sees through it"),
        WordRule(
            "print", "(", reach: .allBut("penstock"), notAfter: ["func", "."],
            instead: "give the text back to the command, or log it through Telemetry"),
        WordRule(
            "debugPrint", "(", reach: .allBut("penstock"),
            instead: "give the text back to the command, or log it through Telemetry"),
        WordRule("getenv", "(", reach: .pureRooms, instead: "pass the value in"),
    ]

    /// `.now` as a clock's, not as the property of a loop: `loop.now` is how time is passed on. The
    /// two clocks of EventLoop are methods, and out of reach for the rooms that decide.
    static func clockReadings(in source: SwiftSource) -> [Offence] {
        source.tokens.indices.compactMap { place in
            guard place > 0, source.tokens[place].text == "now",
                source.tokens[place - 1].text == "."
            else { return nil }
            let receiver = place > 1 ? source.tokens[place - 2] : nil
            if let receiver, isProperty(of: receiver) || ownClocks.contains(receiver.text) {
                return nil
            }
            return Offence(source.file, line: source.tokens[place].line, ".now: \(clock)")
        }
    }

    private static let ownClocks: Set<String> = ["MonotonicClock", "WallClock"]

    private static func isProperty(of receiver: Token) -> Bool {
        if receiver.isWord { return receiver.text.first?.isLowercase ?? false }
        return [")", "]", "?", "!"].contains(receiver.text)
    }

    /// `.random(in: …)` and `.random()` that do not say where their randomness comes from.
    static func unseededRandomness(in source: SwiftSource) -> [Offence] {
        source.tokens.indices.compactMap { place in
            guard source.texts(from: place, count: 3).map(\.text) == [".", "random", "("]
            else { return nil }
            let arguments = source.tokens[place + 3...source.closing(of: place + 2)]
            if arguments.contains(where: { $0.text == "using" }) { return nil }
            return Offence(source.file, line: source.tokens[place].line, ".random: \(seeded)")
        }
    }

    /// `public var` stored in a class: a change costs 7 ns, through a computed one over it 1.2.
    static func openStoredProperties(in source: SwiftSource) -> [Offence] {
        source.tokens.indices.flatMap { place in
            isClass(at: place, in: source) ? openStoredProperties(ofClassAt: place, in: source) : []
        }
    }

    private static func isClass(at place: Int, in source: SwiftSource) -> Bool {
        guard source.tokens[place].text == "class", place + 1 < source.tokens.count else {
            return false
        }
        let next = source.tokens[place + 1]
        return next.isWord && !["func", "var", "let", "subscript"].contains(next.text)
    }

    private static func openStoredProperties(
        ofClassAt place: Int, in source: SwiftSource
    ) -> [Offence] {
        guard let open = source.tokens[place...].firstIndex(where: { $0.text == "{" }) else {
            return []
        }
        var found: [Offence] = []
        var inside = open + 1
        let end = source.closing(of: open)
        while inside < end {
            if source.tokens[inside].text == "{" { inside = source.closing(of: inside) }
            if source.tokens[inside].text == "var", isVisible(at: inside, in: source),
                isStored(at: inside, in: source)
            {
                found.append(
                    Offence(
                        source.file, line: source.tokens[inside].line,
                        "public var in a class: a private var and a computed one beside it"))
            }
            inside += 1
        }
        return found
    }

    /// Whether the declaration whose `var` stands at `place` can be seen outside its file.
    private static func isVisible(at place: Int, in source: SwiftSource) -> Bool {
        let line = source.tokens[place].line
        let before = source.tokens[..<place].suffix(8).reversed().prefix { $0.line == line }
        return before.contains { $0.text == "public" }
    }

    private static func isStored(at place: Int, in source: SwiftSource) -> Bool {
        let line = source.tokens[place].line
        for next in source.tokens.indices[(place + 1)...] {
            let token = source.tokens[next]
            if token.text == "=" || token.line > line { return true }
            if token.text == "{" {
                let first = source.texts(from: next + 1, count: 1).first?.text
                return first == "didSet" || first == "willSet"
            }
        }
        return true
    }
}
