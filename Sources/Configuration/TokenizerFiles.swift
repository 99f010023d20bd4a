// SPDX-License-Identifier: Apache-2.0

import Policy
import Tokenization

/// The tokenizers that models name. A file is read once however many models name it, and one that
/// has not changed since `previous` is not loaded again.
struct TokenizerFiles {
    private var loaded: [String: Tokenizer] = [:]

    /// Notes a mistake for each model whose file cannot be used.
    init(_ root: Section, folder: String, previous: Policy?, _ mistakes: inout MistakeLog) {
        let known = previous?.models.compactMap(\.tokenizer) ?? []
        var faults: [String: String] = [:]
        for model in root.sections("models") {
            guard let path = model.text("tokenizer") else { continue }
            if loaded[path] == nil, faults[path] == nil {
                do throws(FileReader.Fault) {
                    loaded[path] = try Self.load(path, folder, known)
                } catch {
                    faults[path] = error.reason
                }
            }
            if let fault = faults[path] {
                mistakes.add(
                    "\(model.path("tokenizer")): '\(path)' \(fault)",
                    at: model.place("tokenizer"))
            }
        }
    }

    /// The one that a model names, where it names one.
    subscript(path: String?) -> Tokenizer? { path.flatMap { loaded[$0] } }

    private static func load(
        _ path: String, _ folder: String, _ known: [Tokenizer]
    ) throws(FileReader.Fault) -> Tokenizer {
        let bytes = try FileReader.regularFile(
            at: path, folder: folder, limit: Tokenizer.maxFileBytes)
        let name = path.split(separator: "/").last.map(String.init) ?? path
        let fingerprint = unsafe Tokenizer.fingerprint(of: bytes.span.bytes, name: name)
        if let same = known.first(where: { $0.fingerprint == fingerprint }) { return same }
        do throws(TokenizerFault) {
            return unsafe try Tokenizer.load(bytes.span.bytes, name: name)
        } catch {
            throw FileReader.Fault(reason: "cannot count: \(error.reason)")
        }
    }
}
