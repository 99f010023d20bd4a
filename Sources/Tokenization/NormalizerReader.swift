// SPDX-License-Identifier: Apache-2.0

/// Reads `normalizer` of a tokenizer's file.
enum NormalizerReader {
    static func read(_ part: JSONTree?) throws(TokenizerFault) -> [Normalizer] {
        guard let part else { return [] }
        switch part["type"]?.text {
        case "Sequence":
            var all: [Normalizer] = []
            for element in part["normalizers"]?.elements ?? [] { all += try read(element) }
            guard all.count <= 16 else { throw TokenizerFault("more than 16 normalizers") }
            return all
        case "NFC": return [.canonicalComposition]
        case "Prepend":
            guard let prefix = part["prepend"]?.text else { break }
            return prefix.isEmpty ? [] : [.prepend(Array(prefix.utf8))]
        case "Replace":
            guard let old = part["pattern"]?["String"]?.text, !old.isEmpty,
                let new = part["content"]?.text
            else { break }
            return [.replace(Array(old.utf8), with: Array(new.utf8))]
        default: break
        }
        throw TokenizerFault(
            "normalizer: \(part["type"]?.text ?? "one without a type") is not known")
    }
}
