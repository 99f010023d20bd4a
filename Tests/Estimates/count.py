#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Counts texts exactly: count.py --tokenizers FOLDER texts.jsonl.gz counted.jsonl.gz

The folder holds, by name, `tokenizer_NAME.json.gz` (Hugging Face), `NAME.tiktoken.gz` (rank files;
the split patterns are those of the `cl100k_base` and `o200k_base` encodings), `NAME.spm.model.gz`
(SentencePiece) and `ggml-vocab-NAME.gguf` (byte-level BPE of llama-bpe, falcon and command-r).
Needs the libraries `tokenizers`, `tiktoken` and `sentencepiece`. Texts are cut at --longest bytes.
"""
import argparse
import base64
import gzip
import json
import struct
from pathlib import Path

SPLIT = {
    "cl100k": r"""'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+|"""
              r""" ?[^\s\p{L}\p{N}]++[\r\n]*+|\s++$|\s*[\r\n]|\s+(?!\S)|\s""",
    "o200k": r"""[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+"""
             r"""(?i:'s|'t|'re|'ve|'m|'ll|'d)?|"""
             r"""[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*"""
             r"""(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}|"""
             r""" ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+""",
    "llama3": r"""(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}|"""
              r""" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+""",
}
GGML = {"llama-bpe": "llama3", "falcon": "falcon", "command-r": "command_r"}


def metadata(path):
    """The key-value pairs of a GGUF file."""
    data, at = path.read_bytes(), [8]
    forms = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q",
             12: "d"}

    def take(form):
        (value,) = struct.unpack_from("<" + form, data, at[0])
        at[0] += struct.calcsize("<" + form)
        return value

    def text():
        size = take("Q")
        at[0] += size
        return data[at[0] - size:at[0]].decode("utf8", "surrogateescape")

    def value(kind):
        if kind == 8:
            return text()
        if kind == 9:
            inner, count = take("I"), take("Q")
            return [value(inner) for _ in range(count)]
        return take(forms[kind])

    take("Q")
    return {text(): value(take("I")) for _ in range(take("Q"))}


def byte_level(path, name):
    from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers as split
    found = metadata(path)
    vocabulary = {token: at for at, token in enumerate(found["tokenizer.ggml.tokens"])}
    merges = [tuple(pair.split(" ", 1)) for pair in found["tokenizer.ggml.merges"]]
    merges = [pair for pair in merges
              if pair[0] in vocabulary and pair[1] in vocabulary and "".join(pair) in vocabulary]
    tokenizer = Tokenizer(models.BPE(vocabulary, merges, ignore_merges=name == "llama3"))
    plain = split.ByteLevel(add_prefix_space=False)
    tokenizer.pre_tokenizer = split.Sequence({
        "llama3": lambda: [split.Split(Regex(SPLIT["llama3"]), "isolated"),
                           split.ByteLevel(add_prefix_space=False, use_regex=False)],
        "falcon": lambda: [split.Punctuation("contiguous"), plain,
                           split.Digits(individual_digits=False),
                           split.Split(Regex("[0-9][0-9][0-9]"), "isolated")],
        "command_r": lambda: [split.Digits(individual_digits=True), plain],
    }[name]())
    if name == "command_r":
        tokenizer.normalizer = normalizers.NFC()
    return tokenizer


def counters(folder):
    found = {}

    def library(name, tokenizer):
        found[name] = lambda texts: [
            len(one.ids) for one in tokenizer.encode_batch(texts, add_special_tokens=False)]

    for path in sorted(Path(folder).rglob("*")):
        if path.name.startswith("tokenizer_") and path.name.endswith(".json.gz"):
            from tokenizers import Tokenizer
            library(path.name[10:-8], Tokenizer.from_str(gzip.open(path, "rt").read()))
        elif path.name == "anthropic_tokenizer.json":
            from tokenizers import Tokenizer
            library("claude2", Tokenizer.from_file(str(path)))
        elif path.name.endswith(".tiktoken.gz"):
            import tiktoken
            name = path.name.split("_")[0]
            ranks = {base64.b64decode(piece): int(rank) for piece, rank in
                     (line.split() for line in gzip.open(path, "rt") if line.strip())}
            encoding = tiktoken.Encoding(name, pat_str=SPLIT[name], mergeable_ranks=ranks,
                                         special_tokens={})
            found[name] = lambda texts, encoding=encoding: [
                len(ids) for ids in encoding.encode_ordinary_batch(texts, num_threads=1)]
        elif path.name.endswith(".spm.model.gz"):
            import sentencepiece
            pieces = sentencepiece.SentencePieceProcessor(
                model_proto=gzip.open(path).read())
            found[path.name.split(".")[0]] = lambda texts, pieces=pieces: [
                len(ids) for ids in pieces.encode(texts)]
        elif path.name.startswith("ggml-vocab-") and path.stem[11:] in GGML:
            name = GGML[path.stem[11:]]
            library(name, byte_level(path, name))
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--tokenizers", action="append", required=True)
    parser.add_argument("--longest", type=int, default=8000)
    parser.add_argument("texts")
    parser.add_argument("counted")
    given = parser.parse_args()
    rows = [json.loads(line) for line in gzip.open(given.texts, "rt", encoding="utf8")]
    for row in rows:
        row["text"] = row["text"].encode()[:given.longest].decode(errors="ignore")
    found = {}
    for folder in given.tokenizers:
        found |= counters(folder)
    texts = [row["text"] for row in rows]
    counts = {}
    for name, count in found.items():
        counts[name] = []
        for at in range(0, len(texts), 500):
            counts[name] += count(texts[at:at + 500])
        print(name, sum(counts[name]), flush=True)
    with gzip.open(given.counted, "wt", encoding="utf8") as out:
        for at, row in enumerate(rows):
            row["tokens"] = {name: counts[name][at] for name in found}
            out.write(json.dumps(row) + "\n")


if __name__ == "__main__":
    main()
