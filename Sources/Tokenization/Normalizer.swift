// SPDX-License-Identifier: Apache-2.0

/// What happens to a text before it is cut.
enum Normalizer: Sendable {
    case canonicalComposition
    /// Put before every text that is not empty.
    case prepend([UInt8])
    case replace([UInt8], with: [UInt8])

    /// Leaves `text` as all of them make it in `counter.changed`; false where none changed it.
    static func apply(_ all: [Normalizer], to text: Text, _ counter: TokenCounter) -> Bool {
        var isChanged = false
        for normalizer in all {
            if isChanged {
                swap(&counter.before, &counter.changed)
                let before = counter.before
                let again = unsafe before.withUnsafeBytes { bytes in
                    unsafe normalizer.apply(to: Text(bytes), into: &counter.changed)
                }
                if !again { swap(&counter.before, &counter.changed) }
            } else {
                isChanged = normalizer.apply(to: text, into: &counter.changed)
            }
        }
        return isChanged
    }

    /// False where nothing changes; then `bytes` are of no meaning.
    private func apply(to text: Text, into bytes: inout [UInt8]) -> Bool {
        bytes.removeAll(keepingCapacity: true)
        switch self {
        case .canonicalComposition: return Composition.compose(text, into: &bytes)
        case .prepend(let prefix):
            guard text.count > 0 else { return false }
            bytes += prefix
            for at in 0..<text.count { bytes.append(text.byte(at)) }
            return true
        case .replace(let old, let new):
            return Normalizer.replace(old, with: new, in: text, into: &bytes)
        }
    }

    private static func replace(
        _ old: [UInt8], with new: [UInt8], in text: Text, into bytes: inout [UInt8]
    ) -> Bool {
        var isChanged = false
        var at = 0
        while at < text.count {
            if text.byte(at) == old[0], text.part(at, text.count).hasPrefix(old) {
                bytes += new
                at += old.count
                isChanged = true
            } else {
                bytes.append(text.byte(at))
                at += 1
            }
        }
        return isChanged
    }
}
