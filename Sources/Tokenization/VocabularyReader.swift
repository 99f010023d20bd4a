// SPDX-License-Identifier: Apache-2.0

import Wire

/// Reads `model.vocab` and `model.merges` of a tokenizer's file.
enum VocabularyReader {
    static func read(
        isByteLevel: Bool, vocabulary: RawSpan, merges: RawSpan
    ) throws(TokenizerFault) -> PairBuilder {
        guard vocabulary.byteCount > 0, merges.byteCount > 0 else {
            throw TokenizerFault("model.vocab or model.merges is not there")
        }
        var builder = PairBuilder(expecting: vocabulary.byteCount / 24)
        do throws(ReadFault) {
            try readTokens(vocabulary, isByteLevel, &builder)
            try readMerges(merges, isByteLevel, &builder)
        } catch {
            switch error {
            case .json(let fault): throw TokenizerFault("it is not JSON: \(fault)")
            case .other(let reason): throw TokenizerFault(reason)
            }
        }
        return builder
    }

    private enum ReadFault: Error {
        case json(JSONFault)
        case other(String)
    }

    private static func next(
        _ scanner: inout JSONScanner, _ text: RawSpan
    ) throws(ReadFault) -> JSONToken {
        do throws(JSONFault) {
            return try scanner.next(in: text)
        } catch {
            throw .json(error)
        }
    }

    private static func readTokens(
        _ text: RawSpan, _ isByteLevel: Bool, _ builder: inout PairBuilder
    ) throws(ReadFault) {
        var scanner = JSONScanner()
        guard try next(&scanner, text) == .beginObject else {
            throw .other("model.vocab is no object")
        }
        var count = 0
        while case .key(let name) = try next(&scanner, text) {
            guard case .number(let range) = try next(&scanner, text),
                case .whole(let id) = JSONNumber(range, in: text),
                (0..<PairBuilder.tokenLimit).contains(id)
            else {
                throw .other(
                    "model.vocab: the id of \(name.string(in: text)) is no number below "
                        + "\(PairBuilder.tokenLimit)")
            }
            count += 1
            guard count <= PairBuilder.tokenLimit else {
                throw .other("model.vocab: more than \(PairBuilder.tokenLimit) tokens")
            }
            guard let piece = piece(bytes(name, text), isByteLevel) else { continue }
            guard builder.add(piece, UInt32(id)) else {
                throw .other("model.vocab: \(name.string(in: text)) twice")
            }
        }
    }

    /// Nil for what no piece can be: a token whose characters spell no bytes.
    private static func piece(_ name: [UInt8], _ isByteLevel: Bool) -> [UInt8]? {
        isByteLevel ? ByteAlphabet.bytes(name) : name
    }

    private static func bytes(_ string: JSONString, _ text: RawSpan) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(string.range.count)
        string.forEachPiece(in: text) { piece in
            for at in 0..<piece.byteCount {
                unsafe bytes.append(piece.unsafeLoad(fromByteOffset: at, as: UInt8.self))
            }
        }
        return bytes
    }

    // MARK: Merges

    private static func readMerges(
        _ text: RawSpan, _ isByteLevel: Bool, _ builder: inout PairBuilder
    ) throws(ReadFault) {
        var scanner = JSONScanner()
        guard try next(&scanner, text) == .beginArray else {
            throw .other("model.merges is no array")
        }
        var rank = 0
        while let (left, right) = try pair(&scanner, text) {
            guard let left = piece(left, isByteLevel), let right = piece(right, isByteLevel),
                let first = builder.find(left), let second = builder.find(right),
                let whole = builder.find(left + right)
            else { throw .other("model.merges: number \(rank) is not of tokens in model.vocab") }
            guard builder.merge(first, second, rank: rank, into: whole) else {
                throw .other("model.merges: number \(rank) is there twice")
            }
            rank += 1
            guard rank <= 2 * PairBuilder.tokenLimit else {
                throw .other("model.merges: more than \(2 * PairBuilder.tokenLimit)")
            }
        }
    }

    /// `"a b"`, or `["a", "b"]`; nil behind the last one.
    private static func pair(
        _ scanner: inout JSONScanner, _ text: RawSpan
    ) throws(ReadFault) -> ([UInt8], [UInt8])? {
        switch try next(&scanner, text) {
        case .endArray: return nil
        case .string(let string):
            let parts = bytes(string, text).split(
                separator: 0x20, omittingEmptySubsequences: false)
            if parts.count == 2 { return (Array(parts[0]), Array(parts[1])) }
        case .beginArray:
            if case .string(let left) = try next(&scanner, text),
                case .string(let right) = try next(&scanner, text),
                try next(&scanner, text) == .endArray
            {
                return (bytes(left, text), bytes(right, text))
            }
        default: break
        }
        throw .other("model.merges: an entry that is no pair")
    }
}
