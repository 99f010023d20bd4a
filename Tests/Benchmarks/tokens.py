# SPDX-License-Identifier: Apache-2.0
"""How fast tokens are counted, beside tiktoken and tokenizers on the same texts in the same run.

Vocabularies are real ones where PENSTOCK_TOKENIZERS names a folder with cl100k_base.tiktoken,
o200k_base.tiktoken and tokenizer_qwen2.json (or .gz); otherwise one is learnt from the texts, of
which fewer words are whole tokens. CPU time of one thread, the best of ROUNDS.
"""

import argparse
import base64
import gzip
import json
import os
import pathlib
import subprocess
import tempfile
import time

import tiktoken
import tiktoken_ext.openai_public as openai_public
import tokenizers
from tokenizers import Regex, models, pre_tokenizers, trainers

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
PIECE = 4_000
PATHOLOGICAL = {
    "a": "a" * 100_000, "space": " " * 100_000, "line ends": "\n" * 100_000,
    "ab": "ab" * 50_000, "0": "0" * 100_000, "Han": "你" * 30_000, "emoji": "😀" * 20_000,
    "-": "-" * 100_000, "a and space": "a " * 50_000,
}


def texts() -> dict[str, str]:
    """English: the pages of this repository. Code: the standard library of this Python."""
    pages = sorted(REPOSITORY.glob("*.md")) + sorted(REPOSITORY.glob("docs/*.md"))
    library = sorted(pathlib.Path(os.__file__).parent.glob("*.py"))[:80]
    return {
        "English": "".join(page.read_text() for page in pages)[:1_000_000],
        "code": "".join(file.read_text("utf-8", "replace") for file in library)[:1_000_000],
    }


def cut(text: str) -> list[str]:
    data, pieces, start = text.encode(), [], 0
    while start < len(data):
        end = min(start + PIECE, len(data))
        while end < len(data) and data[end] & 0xC0 == 0x80:
            end += 1
        pieces.append(data[start:end].decode())
        start = end
    return pieces


def real(folder: str, name: str, scratch: pathlib.Path) -> pathlib.Path:
    plain = pathlib.Path(folder) / name
    if plain.exists():
        return plain
    file = scratch / name
    file.write_bytes(gzip.decompress((pathlib.Path(folder) / f"{name}.gz").read_bytes()))
    return file


def learnt(scratch: pathlib.Path, samples: list[str]) -> list[pathlib.Path]:
    """A vocabulary of 20,000 tokens as tokenizer.json, and the same as tiktoken has them."""
    tokenizer = tokenizers.Tokenizer(models.BPE())
    pattern = (
        r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
        r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(pattern), "isolated"),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    tokenizer.train_from_iterator(samples, trainers.BpeTrainer(
        vocab_size=20_000, show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet()))
    file = scratch / "tokenizer.json"
    tokenizer.save(str(file))
    printing = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    other = iter(range(0x100, 0x200))
    alphabet = {chr(byte if byte in printing else next(other)): byte for byte in range(256)}
    tokens = {bytes([byte]): None for byte in range(256)}
    for pair in json.loads(file.read_text())["model"]["merges"]:
        tokens[bytes(alphabet[character] for character in "".join(pair))] = None
    ranks = scratch / "cl100k_base.tiktoken"
    ranks.write_text("".join(
        f"{base64.b64encode(token).decode()} {rank}\n" for rank, token in enumerate(tokens)))
    return [ranks, file]


def peer(file: pathlib.Path):
    """The reference library's own count of a text."""
    if file.suffix == ".json":
        tokenizer = tokenizers.Tokenizer.from_file(str(file))
        return lambda text: len(tokenizer.encode(text, add_special_tokens=False).ids)
    ranks = {}
    for line in file.read_bytes().splitlines():
        token, rank = line.split()
        ranks[base64.b64decode(token)] = int(rank)
    openai_public.load_tiktoken_bpe = lambda *_, **__: ranks
    settings = getattr(openai_public, file.name.removesuffix(".tiktoken"))()
    settings.pop("explicit_n_vocab", None)
    settings["special_tokens"] = {}
    encoding = tiktoken.Encoding(**settings)
    return lambda text: len(encoding.encode_ordinary(text))


def timed(count, pieces: list[str], rounds: int) -> tuple[int, float]:
    best, tokens = float("inf"), 0
    for _ in range(rounds):
        start = time.thread_time()
        tokens = sum(count(piece) for piece in pieces)
        best = min(best, time.thread_time() - start)
    return tokens, best


def own(binary: str, file: pathlib.Path, text: pathlib.Path, piece: int, rounds: int):
    answer = subprocess.run(
        [binary, file, text, str(piece), str(rounds)], capture_output=True, text=True, check=True)
    tokens, seconds = answer.stdout.split()
    return int(tokens), float(seconds)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--tokens", default=".build/release/tokens")
    parser.add_argument("--rounds", type=int, default=9)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        compare(options.tokens, options.rounds, pathlib.Path(name))


def compare(binary: str, rounds: int, scratch: pathlib.Path) -> None:
    samples = texts()
    folder = os.environ.get("PENSTOCK_TOKENIZERS")
    names = ["cl100k_base.tiktoken", "o200k_base.tiktoken", "tokenizer_qwen2.json"]
    files = [real(folder, name, scratch) for name in names] if folder else learnt(
        scratch, list(samples.values()))
    print(f"{'tokenizer':<24}{'text':<14}{'penstock':>12}{'reference':>12}  as fast")
    text = scratch / "text"
    for file in files:
        count = peer(file)
        for name, sample in samples.items():
            text.write_text(sample)
            megabytes = len(sample.encode()) / 1e6
            tokens, seconds = own(binary, file, text, PIECE, rounds)
            right, reference = timed(count, cut(sample), rounds)
            assert tokens == right, f"{file.name}, {name}: {tokens}, not {right}"
            print(
                f"{file.name:<24}{name:<14}{megabytes / seconds:>7.1f} MB/s"
                f"{megabytes / reference:>7.1f} MB/s{reference / seconds:>8.1f}x")
        for name, sample in PATHOLOGICAL.items():
            text.write_text(sample)
            tokens, seconds = own(binary, file, text, 0, rounds)
            right, reference = timed(count, [sample], 3)
            assert tokens == right, f"{file.name}, {name}: {tokens}, not {right}"
            print(
                f"{file.name:<24}{name:<14}{seconds * 1e3:>9.1f} ms{reference * 1e3:>9.1f} ms"
                f"{reference / seconds:>8.1f}x")


if __name__ == "__main__":
    main()
