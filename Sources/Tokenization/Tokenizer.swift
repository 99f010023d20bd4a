// SPDX-License-Identifier: Apache-2.0

/// A tokenizer as its file describes it: loaded once, then the same for all threads.
public final class Tokenizer: Sendable {
    /// How pieces are cut from a text, one after the other.
    enum Stage: Sendable {
        case split(SplitRule)
        /// Before each U+2581, or before each row of them.
        case beforeMarkers(each: Bool)
    }

    /// What stands before a text when it is cut.
    struct Preparation: Sendable {
        enum Scheme: Sendable { case never, always, first }
        /// Put before a text.
        var prefix: [UInt8] = []
        var scheme = Scheme.never
        /// Even if the text begins with it.
        var repeatsPrefix = false
        /// Spaces become U+2581.
        var marksSpaces = false

        var isEmpty: Bool { scheme == .never && !marksSpaces }
    }

    /// Of the file that it was loaded from: equal for equal files of the same name.
    public let fingerprint: UInt64
    let added: AddedTokens
    let normalizers: [Normalizer]
    let addedToNormalized: AddedTokens
    let preparation: Preparation
    let stages: [Stage]
    let encoding: PairEncoding

    init(
        added: AddedTokens = AddedTokens(), normalizers: [Normalizer] = [],
        addedToNormalized: AddedTokens = AddedTokens(), preparation: Preparation = Preparation(),
        stages: [Stage], encoding: PairEncoding, fingerprint: UInt64 = 0
    ) {
        self.fingerprint = fingerprint
        self.added = added
        self.normalizers = normalizers
        self.addedToNormalized = addedToNormalized
        self.preparation = preparation
        self.stages = stages
        self.encoding = encoding
    }

    func encode(_ text: Text, _ counter: TokenCounter) {
        guard text.count > 0 else { return }
        PairView.with(encoding) { pairs in
            withStages(0, []) { stages in
                let work = Work(tokenizer: self, counter: counter, pairs: pairs, stages: stages)
                work.encode(text)
            }
        }
    }

    private func withStages(_ place: Int, _ found: [StageView], _ body: ([StageView]) -> Void) {
        guard place < stages.count else { return body(found) }
        switch stages[place] {
        case .split(let rule):
            SplitView.with(rule) { view in
                withStages(place + 1, found + [.split(view)], body)
            }
        case .beforeMarkers(let each):
            withStages(place + 1, found + [.beforeMarkers(each: each)], body)
        }
    }
}

extension Tokenizer: Equatable {
    /// Whether they are one and the same.
    public static func == (left: Tokenizer, right: Tokenizer) -> Bool { left === right }
}

enum StageView {
    case split(SplitView)
    case beforeMarkers(each: Bool)
}

/// One text on its way: added tokens, normalisers, cuts, pieces.
struct Work {
    let tokenizer: Tokenizer
    let counter: TokenCounter
    let pairs: PairView
    let stages: [StageView]

    func encode(_ text: Text) {
        tokenizer.added.cut(text, counter) { part, isFirst in normalize(part, isFirst) }
    }

    private func normalize(_ text: Text, _ isFirst: Bool) {
        guard Normalizer.apply(tokenizer.normalizers, to: text, counter) else {
            return cutNormalized(text, isFirst)
        }
        let changed = counter.changed
        unsafe changed.withUnsafeBytes { bytes in
            unsafe cutNormalized(Text(bytes), isFirst)
        }
    }

    private func cutNormalized(_ text: Text, _ isFirst: Bool) {
        tokenizer.addedToNormalized.cut(text, counter) { part, isFirstPart in
            prepare(part, isFirst && isFirstPart)
        }
    }

    private func prepare(_ text: Text, _ isFirst: Bool) {
        let preparation = tokenizer.preparation
        let wantsPrefix: Bool =
            switch preparation.scheme {
            case .never: false
            case .always: true
            case .first: isFirst
            }
        guard wantsPrefix || preparation.marksSpaces else { return cut(text, 0) }
        counter.prepared.removeAll(keepingCapacity: true)
        preparation.apply(to: text, wantsPrefix: wantsPrefix, into: &counter.prepared)
        let prepared = counter.prepared
        unsafe prepared.withUnsafeBytes { bytes in unsafe cut(Text(bytes), 0) }
    }

    // MARK: Cuts

    private func cut(_ text: Text, _ stage: Int) {
        guard stage < stages.count else {
            if text.count > 0 { piece(text, 0, text.count) }
            return
        }
        switch stages[stage] {
        case .beforeMarkers(let each): cutBeforeMarkers(text, each, stage + 1)
        case .split(let view):
            if stage + 1 == stages.count, view.behavior == .isolated {
                cutLast(text, view)
            } else {
                split(text, view, stage + 1)
            }
        }
    }

    /// The last rule, of which everything becomes a piece.
    @inline(__always)
    private func cutLast(_ text: Text, _ view: SplitView) {
        var at = 0
        var gap = 0
        while at < text.count {
            let end = view.match(text, at)
            if end == at {
                at += text.length(at)
                continue
            }
            if gap < at { piece(text, gap, at) }
            if !pairs.knows(text, at, end, counter) { piece(text, at, end) }
            at = end
            gap = end
        }
        if gap < at { piece(text, gap, at) }
    }

    @inline(never)
    private func piece(_ text: Text, _ start: Int, _ end: Int) {
        pairs.encode(text, start, end, counter)
    }

    private func split(_ text: Text, _ view: SplitView, _ next: Int) {
        var at = 0
        var gap = 0
        while at < text.count {
            let end = view.match(text, at)
            if end == at {
                at += text.length(at)
                continue
            }
            switch view.behavior {
            case .isolated:
                if gap < at { cut(text.part(gap, at), next) }
                cut(text.part(at, end), next)
            case .onlyMatches: cut(text.part(at, end), next)
            case .onlyGaps: if gap < at { cut(text.part(gap, at), next) }
            case .endsPiece: cut(text.part(gap, end), next)
            case .beginsPiece: if gap < at { cut(text.part(gap, at), next) }
            }
            gap = view.behavior == .beginsPiece ? at : end
            at = end
        }
        if gap < at, view.behavior != .onlyMatches { cut(text.part(gap, at), next) }
    }

    private func cutBeforeMarkers(_ text: Text, _ each: Bool, _ next: Int) {
        var start = 0
        var at = 0
        var isBehindMarker = false
        while at < text.count {
            let isMarker = text.isMarker(at)
            if isMarker, at > start, each || !isBehindMarker {
                cut(text.part(start, at), next)
                start = at
            }
            isBehindMarker = isMarker
            at += isMarker ? 3 : text.length(at)
        }
        if start < at { cut(text.part(start, at), next) }
    }
}

extension Text {
    /// Of the character at `at`, in bytes.
    @inline(__always)
    func length(_ at: Int) -> Int {
        let lead = byte(at)
        return lead < 0x80 ? 1 : code(at, lead).length
    }

    /// Whether U+2581 stands at `at`.
    @inline(__always)
    func isMarker(_ at: Int) -> Bool {
        byte(at) == 0xE2 && at + 2 < count && byte(at + 1) == 0x96 && byte(at + 2) == 0x81
    }

    func hasPrefix(_ prefix: [UInt8]) -> Bool {
        count >= prefix.count && prefix.indices.allSatisfy { byte($0) == prefix[$0] }
    }
}

extension Tokenizer.Preparation {
    static let marker: [UInt8] = [0xE2, 0x96, 0x81]

    func apply(to text: Text, wantsPrefix: Bool, into bytes: inout [UInt8]) {
        bytes.reserveCapacity(text.count + prefix.count)
        let isThere = text.hasPrefix(prefix) || marksSpaces && text.hasPrefix([0x20])
        if wantsPrefix, repeatsPrefix || !isThere { bytes += prefix }
        for at in 0..<text.count {
            if marksSpaces, text.byte(at) == 0x20 {
                bytes += Tokenizer.Preparation.marker
            } else {
                bytes.append(text.byte(at))
            }
        }
    }
}
