// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Estimation
import EventLoop
import Policy
import Tokenization
import Units
import Wire

struct CountCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "count", abstract: "Counts tokens, as the gateway would.",
        discussion: """
            Of each file, or of standard input where none is named: the estimate that the gateway \
            makes without a tokenizer and, with --tokenizer, the exact number. Bytes that are no \
            UTF-8 count as U+FFFD. A tokenizer is a tokenizer.json, a file of ranks named after \
            its encoding (cl100k_base.tiktoken), or a SentencePiece model of type BPE (.model).
            """)

    @Option(name: .long, help: "The tokenizer's file.")
    var tokenizer: String?

    @Option(
        name: .long,
        help: ArgumentHelp(
            "Whose table estimates; else what the tokenizer's file name tells, else llama3.",
            valueName: TokenizerFamily.allCases.map(\.rawValue).joined(separator: "|")))
    var family: String?

    @Option(
        name: .long,
        help:
            "Files whose names end in .jsonl hold a JSON object a line: count this member of each.")
    var jsonl: String?

    @Flag(name: .long, help: "One JSON document in place of the table.")
    var json = false

    @Flag(name: .long, help: "With --tokenizer and --json: the tokens themselves too.")
    var ids = false

    @Argument(help: "The files; - is standard input.")
    var file: [String] = []

    func validate() throws {
        if let family, TokenizerFamily(rawValue: family) == nil {
            let known = TokenizerFamily.allCases.map(\.rawValue).joined(separator: ", ")
            throw ValidationError("--family '\(family)' is none of \(known)")
        }
        if ids, !json || tokenizer == nil {
            throw ValidationError("--ids needs --json and --tokenizer")
        }
    }

    /// Of one file at most, and of one line.
    private static let maxBytes = 1 << 30

    func run() throws {
        let tokenizer = try self.tokenizer.map(Self.load)
        var texts = CountedTexts(tokenizer, estimatedBy, keepsIDs: ids)
        for path in file.isEmpty ? ["-"] : file {
            if let jsonl, path.hasSuffix(".jsonl") {
                try count(path, member: jsonl, into: &texts)
            } else {
                try texts.add(Self.read(path), of: path)
            }
        }
        StandardOutput.text(json ? CountTable(texts.rows).json : CountTable(texts.rows).text)
    }

    /// The family that was named, or the one that the name of the tokenizer's file holds.
    private var estimatedBy: TokenizerFamily {
        if let family, let named = TokenizerFamily(rawValue: family) { return named }
        let name = tokenizer.map(Self.name) ?? ""
        return TokenizerFamily.allCases.first { name.contains($0.rawValue) }
            ?? TokenizerFamily(model: name)
    }

    /// Of a file, without its folder.
    private static func name(_ path: String) -> String {
        String(path.split(separator: "/").last ?? "")
    }

    private static func load(_ path: String) throws -> Tokenizer {
        let bytes = try Self.read(path, limit: Tokenizer.maxFileBytes)
        do throws(TokenizerFault) {
            return unsafe try Tokenizer.load(
                bytes.span.bytes, name: name(path))
        } catch {
            throw Failure.input(["\(path): \(error.reason)"])
        }
    }

    private static func read(_ path: String, limit: Int = maxBytes) throws -> [UInt8] {
        do throws(FileFault) {
            return try Files.readFile(path == "-" ? "/dev/stdin" : path, limit: limit)
        } catch {
            switch error {
            case .system(let fault): throw Failure.input(["\(path): \(fault)"])
            case .tooLarge: throw Failure.input(["\(path): it is larger than \(limit) bytes"])
            }
        }
    }

    private func count(_ path: String, member: String, into texts: inout CountedTexts) throws {
        var number = 0
        var fault: JSONLinesFault?
        do throws(SystemFault) {
            var lines = try LineReader(path, longest: Self.maxBytes)
            reading: while fault == nil {
                number += 1
                let found = try lines.next { line in
                    fault = texts.add(line: line, number, of: path, member: member)
                }
                switch found {
                case .line: continue
                case .tooLong: fault = .tooLong(limit: Self.maxBytes)
                case .end: break reading
                }
            }
        } catch {
            throw Failure.input(["\(path): \(error)"])
        }
        if let fault { throw Failure.input(["\(path):\(number): \(fault)"]) }
    }
}
