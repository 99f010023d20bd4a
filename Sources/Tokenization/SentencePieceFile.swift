// SPDX-License-Identifier: Apache-2.0

/// A model as SentencePiece keeps it: a protocol buffer with pieces and their scores.
enum SentencePieceFile {
    private enum Kind: UInt64 {
        case normal = 1
        case unknown = 2
        case control = 3
        case userDefined = 4
        case unused = 5
        case byte = 6
    }

    /// All ways to make a piece of two others are looked for.
    private static let longestPiece = 1_024

    private struct Piece {
        var bytes: [UInt8] = []
        var score: Float = 0
        var kind = Kind.normal
    }

    private struct Model {
        var pieces: [Piece] = []
        /// 2 is byte-pair encoding.
        var type: UInt64 = 1
        var fallsBackToBytes = false
        var addsPrefix = true
        var removesSpaces = true
        var marksSpaces = true
        var marksBehind = false
        var hasMap = false
    }

    static func load(_ text: RawSpan) throws(TokenizerFault) -> Tokenizer {
        let model = try model(text)
        guard model.type == 2 else {
            throw TokenizerFault("a model of SentencePiece that is not of type BPE")
        }
        let refused = [
            (model.hasMap, "a normalizer with a map of characters"),
            (model.removesSpaces, "remove_extra_whitespaces"),
            (!model.marksSpaces, "spaces that are not escaped"),
            (model.marksBehind, "treat_whitespace_as_suffix"),
            (model.pieces.contains { $0.kind == .unused }, "pieces of type UNUSED"),
            (model.pieces.contains { $0.kind == .userDefined }, "pieces of type USER_DEFINED"),
        ]
        for (isThere, name) in refused where isThere {
            throw TokenizerFault("it has \(name), which is not known how to count")
        }
        return try tokenizer(model)
    }

    private static func tokenizer(_ model: Model) throws(TokenizerFault) -> Tokenizer {
        let builder = try builder(model)
        var bytes: [UInt32] = []
        if model.fallsBackToBytes {
            for byte in 0..<256 {
                let name = PairBuilder.byteName(UInt8(byte))
                guard
                    let id = model.pieces.firstIndex(where: {
                        $0.kind == .byte && $0.bytes == name
                    })
                else { throw TokenizerFault("a byte has no piece of its own") }
                bytes.append(UInt32(id))
            }
        }
        let unknown = model.pieces.firstIndex { $0.kind == .unknown }
        let preparation = Tokenizer.Preparation(
            prefix: Tokenizer.Preparation.marker, scheme: model.addsPrefix ? .first : .never,
            repeatsPrefix: true, marksSpaces: true)
        return Tokenizer(
            preparation: preparation, stages: builder.markerStages,
            encoding: builder.encoding(
                .characters(
                    bytes: bytes, unknown: UInt32(unknown ?? 0), isFused: true),
                takesWhole: false))
    }

    /// Two pieces merge where together they are one; the highest score first.
    private static func builder(_ model: Model) throws(TokenizerFault) -> PairBuilder {
        var builder = PairBuilder(expecting: model.pieces.count)
        let normal = model.pieces.indices.filter { model.pieces[$0].kind == .normal }
        for id in normal where !builder.add(model.pieces[id].bytes, UInt32(id)) {
            throw TokenizerFault("piece \(id) twice")
        }
        let order = normal.sorted {
            (-model.pieces[$0].score, $0) < (-model.pieces[$1].score, $1)
        }
        var rank = -1
        var last: Float?
        for id in order {
            if model.pieces[id].score != last { rank += 1 }
            last = model.pieces[id].score
            try builder.mergeAllWays(model.pieces[id].bytes, UInt32(id), rank: rank)
        }
        return builder
    }

    // MARK: Protocol buffer

    private static func model(_ text: RawSpan) throws(TokenizerFault) -> Model {
        var model = Model()
        var message = ProtocolBuffer(0..<text.byteCount)
        while let field = try message.next(in: text) {
            switch (field.number, field.value) {
            case (1, .bytes(let range)):
                model.pieces.append(try piece(range, text))
                guard model.pieces.count <= PairBuilder.tokenLimit else {
                    throw TokenizerFault("more than \(PairBuilder.tokenLimit) pieces")
                }
            case (2, .bytes(let range)): try readTraining(range, text, &model)
            case (3, .bytes(let range)): try readNormalizer(range, text, &model)
            default: break
            }
        }
        guard !model.pieces.isEmpty else { throw TokenizerFault("no pieces") }
        return model
    }

    private static func piece(
        _ range: Range<Int>, _ text: RawSpan
    ) throws(TokenizerFault) -> Piece {
        var piece = Piece()
        var message = ProtocolBuffer(range)
        while let field = try message.next(in: text) {
            switch (field.number, field.value) {
            case (1, .bytes(let range)):
                guard range.count <= longestPiece else {
                    throw TokenizerFault("a piece of more than \(longestPiece) bytes")
                }
                piece.bytes = ProtocolBuffer.bytes(range, in: text)
            case (2, .word(let bits)): piece.score = Float(bitPattern: bits)
            case (3, .number(let number)):
                guard let kind = Kind(rawValue: number) else {
                    throw TokenizerFault("a piece of type \(number)")
                }
                piece.kind = kind
            default: break
            }
        }
        return piece
    }

    private static func readTraining(
        _ range: Range<Int>, _ text: RawSpan, _ model: inout Model
    ) throws(TokenizerFault) {
        var message = ProtocolBuffer(range)
        while let field = try message.next(in: text) {
            switch (field.number, field.value) {
            case (3, .number(let type)): model.type = type
            case (24, .number(let flag)): model.marksBehind = flag != 0
            case (35, .number(let flag)): model.fallsBackToBytes = flag != 0
            default: break
            }
        }
    }

    private static func readNormalizer(
        _ range: Range<Int>, _ text: RawSpan, _ model: inout Model
    ) throws(TokenizerFault) {
        var message = ProtocolBuffer(range)
        while let field = try message.next(in: text) {
            switch (field.number, field.value) {
            case (2, .bytes(let range)): model.hasMap = !range.isEmpty
            case (3, .number(let flag)): model.addsPrefix = flag != 0
            case (4, .number(let flag)): model.removesSpaces = flag != 0
            case (5, .number(let flag)): model.marksSpaces = flag != 0
            default: break
            }
        }
    }
}
