// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import EventLoop
import Transport
import Units

struct KeyCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "key", abstract: "Makes and hashes API keys.",
        subcommands: [New.self, Hash.self])

    struct New: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "new",
            abstract: "Makes a key: prints it once, and its hash for the configuration.")

        func run() throws {
            let key = "sk-" + KeyText.fresh()
            StandardOutput.line("key:  \(key)")
            StandardOutput.line("hash: \(KeyText.hash(key))")
        }
    }

    struct Hash: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "hash", abstract: "Prints the hash of a key.",
            discussion: """
                Without an argument the key is read from standard input, and so stays out of the \
                shell's history.
                """)

        @Argument(help: "The key.")
        var key: String?

        func run() throws {
            guard let key = key ?? readLine(strippingNewline: true), !key.isEmpty else {
                throw Failure.input(["key hash: no key given"])
            }
            StandardOutput.line(KeyText.hash(key))
        }
    }
}

/// Keys as texts.
enum KeyText {
    private static let alphabet = Array(
        "ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz23456789".utf8)

    /// 40 characters from the kernel's randomness: 233 bits.
    static func fresh() -> String {
        var text: [UInt8] = []
        while text.count < 40 {
            var word = randomSeed()
            for _ in 0..<8 {
                let byte = Int(word & 0xFF)
                word >>= 8
                // Rejecting the rest keeps every character equally likely.
                if byte < 4 * alphabet.count, text.count < 40 {
                    text.append(alphabet[byte % alphabet.count])
                }
            }
        }
        return String(decoding: text, as: UTF8.self)
    }

    /// As the configuration has it: `sha256:` and 64 hexadecimal digits.
    static func hash(_ key: String) -> String {
        var key = key
        let digest = Digest()
        let words: [4 of UInt64] = key.withUTF8 { bytes in
            unsafe digest.sha256(UnsafeRawBufferPointer(bytes))
        }
        var text = "sha256:"
        for place in 0..<4 {
            let digits = String(words[place], radix: 16)
            text += String(repeating: "0", count: 16 - digits.utf8.count) + digits
        }
        return text
    }
}
