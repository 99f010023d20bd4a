#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes the Unicode tables of Sources/Tokenization.

What a character is, is asked of the reference library itself: the `tokenizers` wheel is given one
pattern for each property and every code point, so that the tables hold the version of Unicode that
it was built with, whatever Python's is. Combining classes cannot be asked in that way: they come
from `unicodedata2`, for the characters that the library reorders.

    pip install tokenizers==0.23.3 unicodedata2==18.0.0
    python3 Tests/TokenizationTests/Tables/unicode_tables.py
"""

import base64
import itertools
import pathlib

import unicodedata2
from tokenizers import Regex, __version__, normalizers, pre_tokenizers

FOLDER = pathlib.Path(__file__).resolve().parents[3] / "Sources" / "Tokenization"
CODE_POINTS = [code for code in range(0x110000) if not 0xD800 <= code < 0xE000]
# The bits of a kind as CharacterKind.swift reads them.
CATEGORIES = ["", "Lu", "Ll", "Lt", "Lm", "Lo", "M", "Nd", "N", "P", "S", "Z", "C"]
FLAGS = {r"\s": 1, r"\p{Han}": 2, "[一-龥぀-ゟ゠-ヿ]": 4, r"[\w&&[\w]]": 8}


def matching(pattern: str) -> set[int]:
    """The code points that the library's regular expressions match."""
    split = pre_tokenizers.Split(Regex(pattern), "removed")
    return {code for code in CODE_POINTS if not split.pre_tokenize_str(chr(code))}


def word_characters() -> set[int]:
    """`\\w` of the pre-tokenizer Whitespace: what it leaves with the letter before it."""
    split = pre_tokenizers.Whitespace()
    return {code for code in CODE_POINTS if len(split.pre_tokenize_str("a" + chr(code))) == 1
            and split.pre_tokenize_str("a" + chr(code))[0][0] == "a" + chr(code)}


def varint(value: int) -> bytes:
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def literal(name: str, comment: str, data: bytes) -> str:
    text = base64.b64encode(data).decode()
    lines = [f"        {text[at:at + 91]}\\" for at in range(0, len(text), 91)]
    lines[-1] = lines[-1].removesuffix("\\")
    wrapped = "\n".join(lines)
    return f'    /// {comment}\n    static let {name}: StaticString = """\n{wrapped}\n        """\n'


def write(name: str, type_name: str, parts: list[str]) -> None:
    head = (
        "// SPDX-License-Identifier: Apache-2.0\n\n"
        f"// Written by Tests/TokenizationTests/Tables/unicode_tables.py from tokenizers "
        f"{__version__}.\n\nextension {type_name} {{\n")
    (FOLDER / name).write_text(head + "\n".join(parts) + "}\n")


def write_kinds() -> None:
    kinds = [0] * 0x110000
    for number, category in enumerate(CATEGORIES):
        if category:
            for code in matching(rf"\p{{{category}}}"):
                if kinds[code] == 0:
                    kinds[code] = number << 4
    for code in range(0xD800, 0xE000):
        kinds[code] = CATEGORIES.index("C") << 4
    for pattern, flag in list(FLAGS.items())[:3]:
        for code in matching(pattern):
            kinds[code] |= flag
    for code in word_characters():
        kinds[code] |= 8
    numbers = {kind: place for place, kind in enumerate(sorted(set(kinds[128:])))}
    assert len(numbers) <= 120, len(numbers)
    data = bytearray()
    start = 0x80
    for kind, run in itertools.groupby(kinds[0x80:]):
        length = len(list(run))
        data += varint(length) + bytes([numbers[kind]])
        start += length
    meanings = bytes(sorted(numbers))
    ascii_kinds = bytes(kinds[:0x80])
    write("CharacterKind+Table.swift", "CharacterKind", [
        literal("asciiBase64", "What each of the 128 characters of ASCII is.", ascii_kinds),
        literal("meaningsBase64", "What a character of each kind is.", meanings),
        literal("runsBase64", "From U+0080 on: lengths of runs, each with its kind.", bytes(data)),
    ])
    print("kinds", len(numbers), len(data))


def write_composition() -> None:
    nfd, nfc = normalizers.NFD(), normalizers.NFC()
    decompositions: dict[int, list[int]] = {}
    for code in CODE_POINTS:
        if 0xAC00 <= code < 0xD7A4:
            continue
        full = nfd.normalize_str(chr(code))
        if full != chr(code):
            decompositions[code] = [ord(c) for c in full]
    pairs = []
    for code in decompositions:
        raw = unicodedata2.decomposition(chr(code)).split()
        assert raw and not raw[0].startswith("<"), hex(code)
        if len(raw) == 2 and nfc.normalize_str(chr(code)) == chr(code):
            pairs.append((int(raw[0], 16), int(raw[1], 16), code))
    classes: dict[int, int] = {}
    for code in CODE_POINTS:
        combining = unicodedata2.combining(chr(code))
        if combining == 0:
            continue
        mark = "\u0301" if combining < 230 else "\u0334"
        text = "a" + mark + chr(code) if combining < 230 else "a" + chr(code) + mark
        if nfd.normalize_str(text) != text:
            classes[code] = combining
    data = bytearray()
    last = 0
    for code, full in sorted(decompositions.items()):
        data += varint(code - last) + varint(len(full)) + b"".join(varint(c) for c in full)
        last = code
    joined = bytearray()
    for first, second, code in sorted(pairs):
        joined += varint(first) + varint(second) + varint(code)
    combined = bytearray()
    last = 0
    for value, run in itertools.groupby(sorted(classes.items()), key=lambda item: item[1]):
        for code, _ in run:
            combined += varint(code - last) + bytes([value])
            last = code
    write("Composition+Table.swift", "Composition", [
        literal("decompositionsBase64",
                "Steps between characters, each with its full canonical decomposition.",
                bytes(data)),
        literal("pairsBase64", "First, second, and what they compose to.", bytes(joined)),
        literal("classesBase64", "Steps between characters, each with its combining class.",
                bytes(combined)),
    ])
    print("decompositions", len(decompositions), len(data), "pairs", len(pairs), len(joined),
          "classes", len(classes), len(combined))


if __name__ == "__main__":
    write_kinds()
    write_composition()
