// SPDX-License-Identifier: Apache-2.0

/// Where in a word a text stands: how long it is by now, and of what it is made.
///
/// Tokenizers cut texts into words first: a common word is one token whatever its letters, a long
/// or a mixed one is several. So a byte's cost depends on the word before it: runs of white space
/// and of punctuation, digits by threes, words in small letters, with a capital, or in capitals,
/// those whose case changes within (`camelCase`, Base64), those of letters and digits
/// (hexadecimal, identifiers), and runs of characters of other scripts.
enum WordState: Hashable {
    /// White space, marks or characters of one script: so many of them.
    case run(ByteKind, Int)
    /// Digits: the first six, then the last three again and again.
    case digits(Int)
    case small(Int)
    case capitalised(Int)
    case capitals(Int)
    /// Case has changed `changes` times; so many letters since.
    case camel(changes: Int, ByteKind, Int)
    /// Letters have met digits `changes` times; so many of the last kind.
    case mixed(changes: Int, ByteKind, Int)

    /// It is behind the first letter of a word.
    var isFirst: Bool { self == .small(1) || self == .capitals(1) }

    /// As behind one space.
    static let start = WordState.run(.space, 1)

    func next(_ kind: ByteKind) -> WordState {
        switch kind {
        case .continuation: self
        case .lower, .letter: small()
        case .upper: capital()
        case .digit: digit()
        default: lengthened(kind)
        }
    }

    private func lengthened(_ kind: ByteKind) -> WordState {
        guard case .run(kind, let length) = self else { return .run(kind, 1) }
        return .run(kind, min(length + 1, WordState.longest(kind)))
    }

    private static func longest(_ kind: ByteKind) -> Int {
        switch kind {
        case .space: 10
        case .tab: 1
        case .lineEnd: 3
        case .mark: 5
        default: 8
        }
    }

    private func small() -> WordState {
        switch self {
        case .small(let length): .small(min(length + 1, 14))
        case .capitalised(let length): .capitalised(min(length + 1, 14))
        case .capitals(1): .capitalised(2)
        case .capitals: .camel(changes: 1, .lower, 1)
        case .digits: .mixed(changes: 1, .lower, 1)
        case .camel(let changes, .lower, let length):
            .camel(changes: changes, .lower, min(length + 1, 8))
        case .camel(let changes, _, _): .camel(changes: changes, .lower, 1)
        case .mixed: mixed(.lower)
        case .run: .small(1)
        }
    }

    private func capital() -> WordState {
        switch self {
        case .small, .capitalised: .camel(changes: 1, .upper, 1)
        case .capitals(let length): .capitals(min(length + 1, 8))
        case .digits: .mixed(changes: 1, .upper, 1)
        case .camel(let changes, .upper, let length):
            .camel(changes: changes, .upper, min(length + 1, 3))
        case .camel(let changes, _, _): .camel(changes: min(changes + 1, 4), .upper, 1)
        case .mixed: mixed(.upper)
        case .run: .capitals(1)
        }
    }

    private func digit() -> WordState {
        switch self {
        case .digits(let length): .digits(length < 6 ? length + 1 : 4)
        case .small, .capitalised, .capitals: .mixed(changes: 1, .digit, 1)
        case .camel: .mixed(changes: 2, .digit, 1)
        case .mixed: mixed(.digit)
        case .run: .digits(1)
        }
    }

    private func mixed(_ kind: ByteKind) -> WordState {
        guard case .mixed(let changes, let last, let length) = self else { return self }
        return last == kind
            ? .mixed(changes: changes, kind, min(length + 1, 4))
            : .mixed(changes: min(changes + 1, 3), kind, 1)
    }
}

/// All states that a text can come to, numbered as they are met from the start on, kind by kind.
struct WordStates {
    let count: Int
    /// At state × kinds + kind.
    let next: [UInt8]
    /// At state × kinds + kind: whether the byte is the first letter of a word.
    let begins: [Bool]
    /// The number of the state that one byte of each kind makes behind another kind; where a word
    /// goes on instead, nothing of use.
    let alone: [UInt8]

    static let all = WordStates()

    private init() {
        var states = [WordState.start]
        var numbers = [WordState.start: 0]
        var next: [UInt8] = []
        var begins: [Bool] = []
        var at = 0
        while at < states.count {
            for kind in ByteKind.allCases {
                let following = states[at].next(kind)
                let number = numbers[following] ?? states.count
                if number == states.count {
                    numbers[following] = number
                    states.append(following)
                }
                next.append(UInt8(number))
                begins.append(following.isFirst && kind != .continuation)
            }
            at += 1
        }
        count = states.count
        self.next = next
        self.begins = begins
        alone = ByteKind.allCases.map { UInt8(numbers[.run($0, 1)] ?? 0) }
    }
}
