#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Collects texts to fit the estimator's tables on: collect.py --out texts.jsonl.gz FOLDER ...

Walks the folders, sorts files into kinds by their names (programs by language, translations by
locale, manual pages and HTML by locale as plain text) and cuts pieces of 64 bytes to 16 KiB out of
them, sizes log-uniform, as many of each kind as --each says. Adds what is generated from the seed:
Base64, hexadecimal digits, numbers, identifiers, logs, words again and again, and JSON around the
texts. Only texts whose licence lets them be read and counted belong in the folders; the tables that
are fitted hold numbers, no text.
"""
import argparse
import base64
import gettext
import gzip
import html
import json
import math
import random
import re
import uuid
from pathlib import Path

SUFFIXES = {
    ".py": "code.py", ".go": "code.go", ".c": "code.c", ".h": "code.c", ".hpp": "code.cc",
    ".cc": "code.cc", ".tcc": "code.cc", ".js": "code.js", ".mjs": "code.js", ".ts": "code.ts",
    ".sh": "code.sh", ".swift": "code.swift", ".rs": "code.rs", ".css": "code.css",
    ".xml": "xml", ".svg": "xml", ".json": "json", ".yaml": "yaml", ".yml": "yaml",
    ".toml": "toml", ".md": "md", ".rst": "md", ".sql": "code.sql", ".pl": "code.pl",
    ".rb": "code.rb", ".java": "code.java", ".txt": "txt", ".cmake": "code.cmake",
    ".jinja": "code.html", ".po": "po",
}
LARGEST = 4 << 20


def locale_of(path):
    """The locale that a folder or a file name tells of, `en` without one."""
    for part in reversed(path.parts[:-1]):
        if re.fullmatch(r"[a-z]{2,3}([_-][A-Za-z]+)?(@[a-z]+)?", part) and part not in (
            "man", "doc", "usr", "lib", "bin", "src", "opt", "html", "www", "css", "js", "api",
        ):
            return part.replace("_", "-")
    found = re.search(r"[.-]([a-z]{2}(-[a-z]{2})?)\.(html|txt|1|5|7|8)", path.name)
    return found.group(1) if found else "en"


def read(path):
    raw = gzip.open(path).read(LARGEST) if path.suffix == ".gz" else path.read_bytes()[:LARGEST]
    return raw.decode("utf8", errors="strict")


def roff(text):
    text = re.sub(r'^[.\'].*$', lambda line: " ".join(line.group().split()[1:]), text, flags=re.M)
    text = re.sub(r"\\f[A-Z]|\\f\([A-Z]{2}|\\&|\\c", "", text)
    text = re.sub(r"\\\((..)", "'", text).replace("\\-", "-").replace("\\e", "\\")
    return re.sub(r"\n{2,}", "\n\n", text)


def plain(page):
    page = re.sub(r"(?s)<(script|style|head).*?</\1>", " ", page)
    page = re.sub(r"<[^>]*>", "", page)
    return re.sub(r"\n\s*\n+", "\n\n", re.sub(r"[ \t]+", " ", html.unescape(page)))


def messages(path):
    """The translations of a message catalogue, one a line."""
    with open(path, "rb") as file:
        catalogue = gettext.GNUTranslations(file)._catalog
    return "\n".join(t for key, t in catalogue.items() if key and isinstance(t, str) and t)


def texts_of(path):
    """Pairs of kind and text."""
    name = path.name.removesuffix(".gz")
    suffix = Path(name).suffix.lower()
    if suffix == ".mo":
        return [("text." + path.parent.parent.name.replace("_", "-"), messages(path))]
    if re.fullmatch(r"\.[1-8][a-z]*", suffix) and "man" in path.parts:
        return [("man." + locale_of(path), roff(read(path)))]
    if suffix in (".html", ".htm"):
        page = read(path)
        return [("code.html", page), ("text." + locale_of(path), plain(page))]
    kind = SUFFIXES.get(suffix)
    if kind is None:
        return []
    if kind == "txt":
        kind = "text." + locale_of(path) if len(name) > 8 else "txt"
    return [(kind, read(path))]


class Draw(random.Random):
    def size(self):
        return int(64 * math.exp(self.random() * math.log(256)))

    def piece(self, text):
        """Of whole characters, from the beginning of a line where there is one."""
        size = self.size()
        raw = text.encode()
        if len(raw) > size:
            start = self.randrange(len(raw) - size)
            line = raw.find(b"\n", start, start + 200)
            start = line + 1 if line >= 0 else start
            raw = raw[start:start + size]
        return raw.decode("utf8", errors="ignore")


def alphabetical(draw):
    return "".join(draw.choice("abcdefghijklmnopqrstuvwxyz") for _ in range(draw.randint(2, 12)))


def generated(draw, kind, words):
    size = draw.size()
    number = lambda: str(draw.randrange(10 ** draw.randint(1, 9)))
    if kind == "b64":
        text = base64.b64encode(draw.randbytes(size)).decode()
        if draw.random() < 0.4:
            text = "\n".join(text[at:at + 76] for at in range(0, len(text), 76))
        return text[:size]
    if kind == "hex":
        width = draw.choice([0, 2, 4, 8, 32])
        text = draw.randbytes(size).hex()
        if draw.random() < 0.2:
            text = text.upper()
        return (" ".join(text[at:at + width] for at in range(0, len(text), width))
                if width else text)[:size]
    if kind == "uuid":
        count = size // 37 + 2
        join = draw.choice(["\n", " ", ",", '", "'])
        return join.join(str(uuid.UUID(int=draw.getrandbits(128))) for _ in range(count))
    if kind == "digits":
        return "".join(draw.choice("0123456789") for _ in range(size))
    if kind == "csv":
        rows, columns = [], draw.randint(2, 9)
        shapes = [draw.randrange(5) for _ in range(columns)]
        join = draw.choice([",", ",", ";", "\t", ", "])
        while sum(map(len, rows)) < size:
            rows.append(join.join({
                0: lambda: number(),
                1: lambda: f"{draw.uniform(-1000, 1000):.{draw.randint(1, 6)}f}",
                2: lambda: draw.choice(words),
                3: lambda: f"20{draw.randint(10, 29)}-{draw.randint(1, 12):02}-"
                           f"{draw.randint(1, 28):02}",
                4: lambda: str(draw.randint(0, 99)),
            }[shape]() for shape in shapes))
        return "\n".join(rows)
    if kind == "log":
        lines, style = [], draw.randrange(4)
        names = [alphabetical(draw) for _ in range(12)]
        while sum(map(len, lines)) < size:
            clock = f"{draw.randint(0, 23):02}:{draw.randint(0, 59):02}:{draw.randint(0, 59):02}"
            day = f"2026-{draw.randint(1, 12):02}-{draw.randint(1, 28):02}"
            said = " ".join(draw.choice(words) for _ in range(draw.randint(2, 9)))
            address = ".".join(str(draw.randint(0, 255)) for _ in range(4))
            lines.append([
                f"{day}T{clock}.{draw.randint(0, 999):03}Z INFO {draw.choice(names)}: {said}"
                f" id={draw.getrandbits(32):08x} took={number()}ms",
                f'{address} - - [{day}:{clock} +0000] "GET /{draw.choice(names)}/{number()} '
                f'HTTP/1.1" {draw.choice([200, 304, 404, 500])} {number()}',
                f"{day} {clock} status {draw.choice(['installed', 'unpacked', 'configured'])} "
                f"{draw.choice(names)}-{draw.choice(names)}:amd64 {draw.randint(0, 9)}."
                f"{draw.randint(0, 40)}.{draw.randint(0, 9)}-{draw.randint(1, 9)}",
                f"[{draw.uniform(0, 99999):12.6f}] {draw.choice(names)} {number()}: {said}",
            ][style])
        return "\n".join(lines)
    if kind == "repeat":
        few = [draw.choice(words) for _ in range(draw.choice([1, 1, 1, 2, 3, 5, 8]))]
        join = draw.choice([" ", " ", " ", "\n", ", ", ". "])
        return (join.join(few) + join) * (size // (len(join.join(few)) + 1) + 1)
    if kind == "random":
        return "".join(chr(draw.randint(32, 126)) for _ in range(size))
    return " ".join(alphabetical(draw) for _ in range(size // 8 + 2))


def chat(draw, texts):
    turns, roles = [], ["user", "assistant"]
    if draw.random() < 0.5:
        turns.append({"role": "system", "content": draw.choice(texts)[:400]})
    for at in range(draw.choice([1, 1, 3, 5])):
        turns.append({"role": roles[at % 2], "content": draw.choice(texts)[:draw.size()]})
    body = {"model": "m-" + alphabetical(draw), "messages": turns, "temperature": 0.7}
    if draw.random() < 0.5:
        body["max_tokens"] = draw.randint(1, 4096)
    return json.dumps(body, ensure_ascii=draw.random() < 0.6,
                      indent=draw.choice([None, None, 2]))


def collect(folders, each, seed):
    draw = Draw(seed)
    pool = {}
    for folder in folders:
        for path in sorted(Path(folder).rglob("*")):
            if not path.is_file() or path.is_symlink():
                continue
            try:
                found = texts_of(path)
            except (OSError, ValueError, EOFError, LookupError, AssertionError):
                continue
            for kind, text in found:
                if len(text) >= 64:
                    pool.setdefault(kind, []).append((str(path), text))
    rows = []
    for kind in sorted(pool):
        # Every file of a kind has its turn before a second piece of one is taken.
        files = pool[kind]
        draw.shuffle(files)
        content = sum(len(text) for _, text in files)
        for at in range(min(each, content // 600 + 1)):
            path, text = files[at % len(files)]
            rows.append((kind, path, draw.piece(text)))
    words = sorted({word for kind, _, text in rows if kind in ("text.en", "man.en", "md")
                    for word in re.findall(r"[a-z]{2,}", text)})
    natural = [text for kind, _, text in rows if kind.startswith(("text.", "man.", "code.py"))]
    for kind in ("b64", "hex", "uuid", "digits", "csv", "log", "repeat", "random", "letters"):
        rows += [("gen." + kind, "", generated(draw, kind, words)) for _ in range(each)]
    compact = [text for kind, _, text in rows if kind == "json"]
    for text in compact:
        try:
            rows.append(("json.min", "", json.dumps(json.loads(text), separators=(",", ":"))))
        except ValueError:
            pass
    rows += [("chatbody", "", chat(draw, natural)) for _ in range(2 * each)]
    for _ in range(2 * each):
        first, second = draw.choice(words), draw.choice(natural)
        ask = "Please look at the following and tell me, in a few words, what it says about "
        rows.append(("mixed", "", ask + first + ":\n\n" + draw.piece(second)))
    return [row for row in rows if len(row[2].encode()) >= 24]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folders", nargs="+")
    parser.add_argument("--out", required=True)
    parser.add_argument("--each", type=int, default=60, help="texts of a kind at most")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    rows = collect(arguments.folders, arguments.each, arguments.seed)
    with gzip.open(arguments.out, "wt", encoding="utf8") as out:
        for kind, path, text in rows:
            out.write(json.dumps({"kind": kind, "file": path, "text": text}) + "\n")
    print(f"{len(rows)} texts of {len({row[0] for row in rows})} kinds")


if __name__ == "__main__":
    main()
