// SPDX-License-Identifier: Apache-2.0

// Counts a file's tokens again and again: `tokens TOKENIZER FILE PIECE ROUNDS`. PIECE is how many
// bytes a text has, 0 for the whole file. Prints the tokens and the CPU seconds of the best round.

import EventLoop
import Glibc
import Tokenization
import Units

let arguments = CommandLine.arguments
guard arguments.count == 5, let piece = Int(arguments[3]), let rounds = Int(arguments[4]) else {
    Terminal.write("tokens TOKENIZER FILE PIECE ROUNDS\n", to: .error)
    fatalError("the command line is wrong")
}
let file = try Files.readFile(arguments[1], limit: Tokenizer.maxFileBytes)
let name = arguments[1].split(separator: "/").last.map(String.init) ?? ""
let tokenizer = unsafe try Tokenizer.load(file.span.bytes, name: name)
let text = try Files.readFile(arguments[2], limit: 1 << 30)
let counter = TokenCounter()

/// CPU seconds of this thread: other processes do not count.
func spent() -> Double {
    var time = timespec()
    unsafe clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
}

/// Places to cut at, none within a character.
var cuts = [0]
while let last = cuts.last, last < text.count {
    var next = piece == 0 ? text.count : min(last + piece, text.count)
    while next < text.count, text[next] & 0xC0 == 0x80 { next += 1 }
    cuts.append(next)
}

var best = Double.infinity
var tokens = 0
for _ in 0..<rounds {
    tokens = 0
    let start = spent()
    let whole = text.span
    for (from, to) in zip(cuts, cuts.dropFirst()) {
        unsafe tokens += counter.count(whole.bytes.extracting(from..<to), tokenizer)
    }
    best = min(best, spent() - start)
}
Terminal.write("\(tokens) \(best)\n", to: .output)
