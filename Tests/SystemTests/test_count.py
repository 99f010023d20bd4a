# SPDX-License-Identifier: Apache-2.0
"""`penstock count`: exact counts are the reference libraries' to the token.

The vocabularies are trained here by the libraries themselves, one for each way in which texts are
cut: those that models use are megabytes each. Real ones are compared too where the variable
PENSTOCK_TOKENIZERS names a folder with tokenizer_*.json, *.tiktoken, *.model (or the same with
.gz), and vectors.jsonl, samples.jsonl.gz and pathological.json beside them.
"""

import gzip
import io
import json
import os
import pathlib
import random
import subprocess

import pytest
import sentencepiece
import tiktoken
import tiktoken_ext.openai_public as openai_public
import tokenizers
from tokenizers import models, normalizers, pre_tokenizers, trainers

REAL = os.environ.get("PENSTOCK_TOKENIZERS")
# In sum over all vocabularies trained here, at least 10,000.
TEXTS = 800

QWEN2 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
LLAMA3 = QWEN2.replace(r"|\p{N}|", r"|\p{N}{1,3}|")
QWEN35 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}"
    r"| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
DEEPSEEK = [
    r"\p{N}{1,3}",
    "[一-龥぀-ゟ゠-ヿ]+",
    r"[!\"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+"
    r"| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
]
KIMI = "|".join(
    [
        r"[\p{Han}]+",
        r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]*"
        r"[\p{Ll}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
        r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]+"
        r"[\p{Ll}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
        r"\p{N}{1,3}",
        r" ?[^\s\p{L}\p{N}]+[\r\n]*",
        r"\s*[\r\n]+",
        r"\s+(?!\S)",
        r"\s+",
    ]
)
TEKKEN = (
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+"
    r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*"
    r"|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)


def split(pattern, behavior="isolated", invert=False):
    return pre_tokenizers.Split(tokenizers.Regex(pattern), behavior, invert)


def byte_level(*before, **options):
    return pre_tokenizers.Sequence([*before, pre_tokenizers.ByteLevel(**options)])


def then_bytes(*before):
    return byte_level(*before, add_prefix_space=False, use_regex=False)


CUTS = {
    "gpt2": lambda: pre_tokenizers.ByteLevel(add_prefix_space=False),
    "gpt2-prefix": lambda: pre_tokenizers.ByteLevel(add_prefix_space=True),
    "qwen2": lambda: then_bytes(split(QWEN2)),
    "qwen3.5": lambda: then_bytes(split(QWEN35)),
    "llama3": lambda: then_bytes(split(LLAMA3)),
    "cl100k-inverted": lambda: then_bytes(split(LLAMA3, "removed", True)),
    "deepseek": lambda: then_bytes(*[split(pattern) for pattern in DEEPSEEK]),
    "kimi": lambda: then_bytes(split(KIMI)),
    "tekken": lambda: then_bytes(split(TEKKEN)),
    "starcoder": lambda: byte_level(
        pre_tokenizers.Digits(individual_digits=True), add_prefix_space=False),
    "digits": lambda: byte_level(
        pre_tokenizers.Digits(individual_digits=False), add_prefix_space=False),
    "three-digits": lambda: byte_level(split("[0-9][0-9][0-9]"), add_prefix_space=False),
    "words": lambda: then_bytes(pre_tokenizers.Whitespace()),
    "spaces": lambda: then_bytes(pre_tokenizers.WhitespaceSplit()),
}


def corpus() -> list[str]:
    """Texts to learn from: the standard library's sources, and characters of all scripts."""
    library = pathlib.Path(os.__file__).parent
    texts = [
        (library / name).read_text("utf-8", "replace")[:20_000]
        for name in ("argparse.py", "difflib.py", "heapq.py", "textwrap.py", "statistics.py")
    ]
    rng = random.Random(5)
    return texts + [random_text(rng) for _ in range(400)]


WORDS = ["the", "The", "THE", "don't", "WE'LL", "it'S", "naïve", "straße", "Привет", "мир", "你好",
         "世界", "こんにちは", "カタカナ", "안녕하세요", "हिन्दी", "தமிழ்", "ไทย", "שלום", "مرحبا",
         "x86_64", "foo_bar", "HTTPServer", "iPhone", "e\u0301", "a\u0308\u0323",
         "\u1100\u1161\u11a8", "'ſ", "K", "ǅ", "ʰ", "Ⅷ", "½", "١٢٣", "123456",
          "3.14", "\U0001f600", "👩‍👩‍👧",
         "\u200d", "\ufeff", "\u00a0", "\u2028", "\u3000", "\u0085", "ﬁ", "①", "<|end|>", "</s>",
         "▁", "\u0000", "\u001c", "//", "/**", "=>", "...", "$", "€", "+=", "\U000e0100", "\u0344"]
SPACES = [" ", "  ", "   ", "\n", "\n\n", "\r\n", "\t", " \n ", "\n  ", "", ""]


def random_text(rng: random.Random) -> str:
    kind = rng.random()
    if kind < 0.6:
        return "".join(
            rng.choice(WORDS) + rng.choice(SPACES) for _ in range(rng.randrange(1, 24)))
    if kind < 0.8:
        ranges = [(0x20, 0x7F), (0xA0, 0x250), (0x300, 0x370), (0x400, 0x500), (0x900, 0xA00),
                  (0x1100, 0x1200), (0x2000, 0x2C00), (0x3040, 0x3100), (0x4E00, 0x5000),
                  (0xAC00, 0xAD00), (0x1F300, 0x1F700), (0x0, 0xD800), (0xE000, 0x110000)]
        return "".join(
            chr(rng.randrange(*rng.choice(ranges))) for _ in range(rng.randrange(1, 40)))
    return "".join(rng.choice(" \n\r\taA1'é你._-") for _ in range(rng.randrange(0, 90)))


@pytest.fixture(scope="module")
def texts():
    rng = random.Random(11)
    return [random_text(rng) for _ in range(TEXTS)]


@pytest.fixture(scope="module")
def learnt():
    return corpus()


def trained(pre_tokenizer, learnt, normalizer=None, **model):
    tokenizer = tokenizers.Tokenizer(models.BPE(**model))
    tokenizer.pre_tokenizer = pre_tokenizer
    if normalizer:
        tokenizer.normalizer = normalizer
    trainer = trainers.BpeTrainer(
        vocab_size=1_500, show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet())
    tokenizer.train_from_iterator(learnt, trainer)
    return tokenizer


@pytest.fixture
def counted(run, tmp_path):
    """The tokens of texts by a tokenizer's file."""

    def count(file, texts):
        lines = tmp_path / "texts.jsonl"
        lines.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
        result = run(
            "count", "--tokenizer", file, "--jsonl", "text", "--json", "--ids", lines)
        assert result.returncode == 0, result.stderr
        found = json.loads(result.stdout)
        assert [row["line"] for row in found] == list(range(1, len(texts) + 1))
        assert [row["bytes"] for row in found] == [len(text.encode()) for text in texts]
        assert all(row["exact"] == len(row["ids"]) for row in found)
        return [row["ids"] for row in found]

    return count


def check(found, expected, texts):
    for text, ids, right in zip(texts, found, expected, strict=True):
        assert ids == right, repr(text)


@pytest.mark.parametrize("cut", CUTS)
def test_tokens_are_those_of_tokenizers(cut, counted, texts, learnt, tmp_path):
    tokenizer = trained(
        CUTS[cut](), learnt, normalizers.NFC() if cut.startswith("qwen") else None)
    tokenizer.add_special_tokens(["<|end|>"])
    tokenizer.add_tokens([tokenizers.AddedToken("foo_bar", lstrip=True, single_word=True)])
    file = tmp_path / "tokenizer.json"
    tokenizer.save(str(file))
    expected = tokenizer.encode_batch(texts, add_special_tokens=False)
    check(counted(file, texts), [encoding.ids for encoding in expected], texts)


@pytest.mark.parametrize("scheme", ["always", "first", "never", "prepend", "unknown"])
def test_tokens_of_vocabularies_of_characters(scheme, counted, texts, learnt, tmp_path):
    """As those converted from SentencePiece are, with bytes for what they lack, or one unknown."""
    model = {"unk_token": "<unk>", "fuse_unk": True}
    tokenizer = tokenizers.Tokenizer(models.BPE(**model))
    special = ["<unk>"]
    if scheme != "unknown":
        tokenizer = tokenizers.Tokenizer(models.BPE(byte_fallback=True, **model))
        special += [f"<0x{byte:02X}>" for byte in range(256)]
    if scheme == "prepend":
        tokenizer.normalizer = normalizers.Sequence(
            [normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    else:
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(
            prepend_scheme="always" if scheme == "unknown" else scheme, split=scheme != "first")
    trainer = trainers.BpeTrainer(
        vocab_size=1_500, show_progress=False, special_tokens=special, limit_alphabet=300,
        max_token_length=12)
    tokenizer.train_from_iterator(
        learnt if scheme != "first" else [text[:300] for text in learnt], trainer)
    # The bytes are ordinary tokens there, found by falling back to them and not in texts.
    document = json.loads(tokenizer.to_str())
    document["added_tokens"] = [
        token for token in document["added_tokens"] if not token["content"].startswith("<0x")]
    tokenizer = tokenizers.Tokenizer.from_str(json.dumps(document))
    file = tmp_path / "tokenizer.json"
    file.write_text(json.dumps(document))
    expected = tokenizer.encode_batch(texts, add_special_tokens=False)
    check(counted(file, texts), [encoding.ids for encoding in expected], texts)


@pytest.mark.parametrize("name", ["cl100k_base", "o200k_base", "p50k_base"])
def test_tokens_are_those_of_tiktoken(name, counted, texts, learnt, tmp_path, monkeypatch):
    file = tmp_path / f"{name}.tiktoken"
    file.write_text(ranked(trained(then_bytes(split(TEKKEN)), learnt)))
    encoding = encoder(name, file, monkeypatch)
    check(counted(file, texts), encoding.encode_ordinary_batch(texts), texts)


def ranked(tokenizer: tokenizers.Tokenizer) -> str:
    """A vocabulary of bytes as a file of ranks: the bytes, then what each merge makes."""
    import base64

    alphabet = {character: byte for byte, character in enumerate(byte_characters())}
    merges = json.loads(tokenizer.to_str())["model"]["merges"]
    tokens = [bytes([byte]) for byte in range(256)]
    for pair in merges:
        token = bytes(alphabet[character] for character in "".join(pair))
        if token not in tokens:
            tokens.append(token)
    return "".join(
        f"{base64.b64encode(token).decode()} {rank}\n" for rank, token in enumerate(tokens))


def byte_characters() -> list[str]:
    printing = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    other = iter(range(0x100, 0x200))
    return [chr(byte if byte in printing else next(other)) for byte in range(256)]


def encoder(name, file, monkeypatch) -> tiktoken.Encoding:
    import base64

    ranks = {}
    for line in file.read_bytes().splitlines():
        token, rank = line.split()
        ranks[base64.b64decode(token)] = int(rank)
    monkeypatch.setattr(openai_public, "load_tiktoken_bpe", lambda *_, **__: ranks)
    settings = getattr(openai_public, name)()
    settings.pop("explicit_n_vocab", None)
    settings["special_tokens"] = {}
    return tiktoken.Encoding(**settings)


@pytest.mark.parametrize("prefix", [True, False])
def test_tokens_are_those_of_sentencepiece(prefix, counted, texts, learnt, tmp_path):
    model = io.BytesIO()
    lines = [line for text in learnt for line in text.splitlines() if line and "\0" not in line]
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(lines), model_writer=model, vocab_size=1_800, model_type="bpe",
        byte_fallback=True, normalization_rule_name="identity", remove_extra_whitespaces=False,
        add_dummy_prefix=prefix, character_coverage=0.99, minloglevel=2, num_threads=1)
    file = tmp_path / "tokenizer.model"
    file.write_bytes(model.getvalue())
    reference = sentencepiece.SentencePieceProcessor(model_proto=model.getvalue())
    check(counted(file, texts), reference.encode(texts), texts)


# MARK: the command


def test_files_and_standard_input_are_counted(run, penstock, tmp_path, learnt):
    tokenizer = trained(pre_tokenizers.ByteLevel(add_prefix_space=False), learnt)
    file = tmp_path / "tokenizer.json"
    tokenizer.save(str(file))
    text = "Some text to count, and nothing else.\n"
    (tmp_path / "a.txt").write_text(text)
    (tmp_path / "b.txt").write_text(text * 3)
    count = len(tokenizer.encode(text).ids)
    result = run("count", "--tokenizer", file, tmp_path / "a.txt", tmp_path / "b.txt")
    lines = [line.split() for line in result.stdout.splitlines()]
    assert lines[0] == ["bytes", "estimate", "exact", "error", "file"]
    assert lines[1][0] == "38" and lines[1][2] == str(count)
    assert lines[3][0] == str(4 * 38) and lines[3][-1] == "total"
    command = [str(penstock), "count", "--json"]
    found = json.loads(
        subprocess.run(command, input=text.encode(), capture_output=True, check=True).stdout)
    assert found[0]["file"] == "-" and found[0]["bytes"] == 38 and found[0]["exact"] is None
    assert found[0]["estimate"] > 0
    command += ["--tokenizer", str(file)]
    broken = subprocess.run(command, input=b"a\xff", capture_output=True, check=True).stdout
    assert json.loads(broken)[0]["exact"] == len(tokenizer.encode("a\ufffd").ids)


def test_estimates_are_those_of_the_family(run, tmp_path, learnt):
    (tmp_path / "text").write_text("一二三四五六七八九十 1234567 " * 20)
    tokenizer = trained(pre_tokenizers.ByteLevel(add_prefix_space=False), learnt)
    named = tmp_path / "tokenizer_qwen2.json"
    tokenizer.save(str(named))

    def estimate(*arguments):
        result = run("count", "--json", *arguments, tmp_path / "text")
        assert result.returncode == 0, result.stderr
        return json.loads(result.stdout)[0]["estimate"]

    families = ["llama3", "qwen2", "gpt2", "falcon", "command_r", "deepseek_v3", "claude",
                "cl100k", "o200k", "llama2"]
    found = {family: estimate("--family", family) for family in families}
    # Digits one by one or by threes, Han by one, two or three tokens: no two tables agree.
    assert len(set(found.values())) >= 8 and found["gpt2"] > 1.5 * found["qwen2"]
    assert estimate() == found["llama3"]
    assert estimate("--tokenizer", named) == found["qwen2"]
    assert estimate("--tokenizer", named, "--family", "cl100k") == found["cl100k"]


def test_what_cannot_be_counted_is_told(run, tmp_path):
    (tmp_path / "t.json").write_text('{"model": {"type": "WordPiece"}}')
    (tmp_path / "l.jsonl").write_text('{"text": "a"}\n{"text": 5}\n')
    cases = [
        (["--tokenizer", tmp_path / "none.json"], 1, "none.json: No such file"),
        (["--tokenizer", tmp_path / "t.json"], 1, "t.json: model.type: WordPiece is not known"),
        ([tmp_path / "none.txt"], 1, "none.txt: No such file"),
        (["--jsonl", "text", tmp_path / "l.jsonl"], 1, "l.jsonl:2: no text at 'text'"),
        (["--family", "gpt5"], 2, "--family 'gpt5' is none of llama3, qwen2, "),
        (["--ids"], 2, "--ids needs --json and --tokenizer"),
    ]
    for arguments, code, text in cases:
        result = run("count", *arguments)
        assert result.returncode == code and text in result.stderr, result.stderr


# MARK: real vocabularies


FILES = {
    "qwen2": "tokenizer_qwen2.json", "gpt2": "tokenizer_gpt2.json",
    "deepseek_v3": "tokenizer_deepseek_v3.json", "cl100k": "cl100k_base.tiktoken",
    "o200k": "o200k_base.tiktoken", "phi3": "phi3.spm.model",
}


@pytest.fixture
def real(tmp_path):
    if not REAL:
        pytest.skip("PENSTOCK_TOKENIZERS names no folder with real vocabularies")

    def find(name):
        plain = pathlib.Path(REAL) / name
        if plain.exists():
            return plain
        file = tmp_path / name
        file.write_bytes(gzip.decompress((pathlib.Path(REAL) / f"{name}.gz").read_bytes()))
        return file

    return find


@pytest.mark.parametrize("name", FILES)
def test_real_vocabularies_count_as_recorded(name, real, counted):
    file = real(FILES[name])
    vectors = [json.loads(line) for line in real("vectors.jsonl").read_text().splitlines()]
    for row, ids in zip(vectors, counted(file, [row["text"] for row in vectors]), strict=True):
        # Of the longest ones the number alone is recorded.
        assert len(ids) == row["n"][name], repr(row["text"])
        assert row["ids"] is None or ids == row["ids"][name], repr(row["text"])
    samples = [json.loads(line) for line in real("samples.jsonl").read_text().splitlines()]
    samples += [
        {"text": eval(row["python"]), "tokens": row["n"]}
        for row in json.loads(real("pathological.json").read_text())]
    found = counted(file, [row["text"] for row in samples])
    assert [len(ids) for ids in found] == [row["tokens"][name] for row in samples]


@pytest.mark.parametrize("name", ["qwen2", "gpt2", "deepseek_v3"])
def test_real_vocabularies_of_tokenizers_on_random_texts(name, real, counted, texts):
    file = real(FILES[name])
    reference = tokenizers.Tokenizer.from_file(str(file))
    expected = reference.encode_batch(texts, add_special_tokens=False)
    check(counted(file, texts), [encoding.ids for encoding in expected], texts)


@pytest.mark.parametrize("name", ["cl100k", "o200k"])
def test_real_vocabularies_of_tiktoken_on_random_texts(name, real, counted, texts, monkeypatch):
    file = real(FILES[name])
    reference = encoder(f"{name}_base", file, monkeypatch)
    check(counted(file, texts), reference.encode_ordinary_batch(texts), texts)


def test_a_real_model_of_sentencepiece_on_random_texts(real, counted, texts):
    file = real(FILES["phi3"])
    reference = sentencepiece.SentencePieceProcessor(model_file=str(file))
    check(counted(file, texts), reference.encode(texts), texts)
