# SPDX-License-Identifier: Apache-2.0
"""What the estimator looks at, written down a second time: classes of bytes and states of words.

Sources/Estimation/ByteClass.swift, ByteKind.swift and WordState.swift say why; the tests compare
both by the estimates that they give.
"""
import numpy as np

KINDS = ["space", "tab", "lineEnd", "mark", "digit", "upper", "lower", "letter", "continuation",
         "greek", "cyrillic", "hebrew", "arabic", "indic", "georgian", "symbol", "kana", "han",
         "hangul", "beyond"]
LONGEST = {"space": 10, "tab": 1, "lineEnd": 3, "mark": 5}
CLASSES = 89
PUNCTUATION = {"\"'": 31, ",;": 32, ".:": 33, "-": 34, "_": 35, "/\\": 36, "()<>[]{}": 37,
               "*+=": 38}
SCRIPTS = [(0xCE, "letter"), (0xD0, "greek"), (0xD4, "cyrillic"), (0xD6, "hebrew"),
           (0xE0, "arabic"), (0xE1, "indic"), (0xE2, "georgian"), (0xE3, "symbol"),
           (0xE4, "kana"), (0xEA, "han"), (0xEE, "hangul"), (0x100, "beyond")]


def class_of(byte):
    if 0x61 <= byte <= 0x7A:
        return byte - 0x61
    if 0x41 <= byte <= 0x5A:
        return 26
    if 0x30 <= byte <= 0x39:
        return 27
    if byte == 0x20:
        return 28
    if byte in (0x0A, 0x0D):
        return 29
    if byte < 0x20 or byte == 0x7F:
        return 30
    if byte < 0x80:
        return next((number for marks, number in PUNCTUATION.items() if chr(byte) in marks), 39)
    if byte < 0xC0:
        return 40 + (byte - 0x80) // 4
    if byte < 0xE0:
        return 56 + (byte - 0xC0) // 2
    return 72 + (byte - 0xE0) if byte < 0xF0 else 88


def kind_of(byte):
    if byte == 0x20:
        return "space"
    if byte == 0x09:
        return "tab"
    if byte in (0x0A, 0x0D):
        return "lineEnd"
    if 0x30 <= byte <= 0x39:
        return "digit"
    if 0x41 <= byte <= 0x5A:
        return "upper"
    if 0x61 <= byte <= 0x7A:
        return "lower"
    if byte < 0x80:
        return "mark"
    if byte < 0xC0:
        return "continuation"
    return next(kind for end, kind in SCRIPTS if byte < end)


def following(state, kind):
    """The state behind a byte of this kind; a state is a tuple whose first member names it."""
    name = state[0]
    if kind == "continuation":
        return state
    if kind in ("lower", "letter"):
        if name in ("small", "capitalised"):
            return (name, min(state[1] + 1, 14))
        if name == "capitals":
            return ("capitalised", 2) if state[1] == 1 else ("camel", 1, "lower", 1)
        if name == "digits":
            return ("mixed", 1, "lower", 1)
        if name == "camel":
            length = min(state[3] + 1, 8) if state[2] == "lower" else 1
            return ("camel", state[1], "lower", length)
        return mixed(state, "lower") if name == "mixed" else ("small", 1)
    if kind == "upper":
        if name in ("small", "capitalised"):
            return ("camel", 1, "upper", 1)
        if name == "capitals":
            return ("capitals", min(state[1] + 1, 8))
        if name == "digits":
            return ("mixed", 1, "upper", 1)
        if name == "camel":
            if state[2] == "upper":
                return ("camel", state[1], "upper", min(state[3] + 1, 3))
            return ("camel", min(state[1] + 1, 4), "upper", 1)
        return mixed(state, "upper") if name == "mixed" else ("capitals", 1)
    if kind == "digit":
        if name == "digits":
            return ("digits", state[1] + 1 if state[1] < 6 else 4)
        if name in ("small", "capitalised", "capitals"):
            return ("mixed", 1, "digit", 1)
        if name == "camel":
            return ("mixed", 2, "digit", 1)
        return mixed(state, "digit") if name == "mixed" else ("digits", 1)
    if name == "run" and state[1] == kind:
        return ("run", kind, min(state[2] + 1, LONGEST.get(kind, 8)))
    return ("run", kind, 1)


def mixed(state, kind):
    if state[2] == kind:
        return ("mixed", state[1], kind, min(state[3] + 1, 4))
    return ("mixed", min(state[1] + 1, 3), kind, 1)


def machine():
    """Rows of the states behind each kind, by number, and which entries begin a word; the start
    is 0."""
    states = [("run", "space", 1)]
    numbers = {states[0]: 0}
    rows = []
    while len(rows) < len(states):
        row = []
        for kind in KINDS:
            state = following(states[len(rows)], kind)
            if state not in numbers:
                numbers[state] = len(states)
                states.append(state)
            row.append(numbers[state])
        rows.append(row)
    begins = [states[number] in (("small", 1), ("capitals", 1)) and kind != "continuation"
              for row in rows for kind, number in zip(KINDS, row)]
    return np.array(rows), np.array(begins)


CLASS = np.array([class_of(byte) for byte in range(256)])
KIND = np.array([KINDS.index(kind_of(byte)) for byte in range(256)])
NEXT, WORD_BEGINS = machine()
STATES = len(NEXT)
PAIRS = CLASSES * CLASSES
ENTRIES = PAIRS + STATES * len(KINDS)
# Of all entries: no tokenizer has two words in one token.
BEGINS = np.concatenate((np.zeros(PAIRS), WORD_BEGINS)).astype(np.int64)


def entries(texts):
    """For each text the numbers of the entries that its bytes cost: two a byte."""
    raw = [np.frombuffer(text, np.uint8) for text in texts]
    order = sorted(range(len(raw)), key=lambda at: -len(raw[at]))
    kinds = [KIND[one] for one in raw]
    words = [np.empty(len(one), np.int64) for one in raw]
    longest = len(raw[order[0]]) if order else 0
    state = np.zeros(len(raw), np.int64)
    grid = np.zeros((longest, len(raw)), np.uint8)
    for column, at in enumerate(order):
        grid[:len(kinds[at]), column] = kinds[at]
    open_at = np.array([len(raw[at]) for at in order])
    rows = np.empty((longest, len(raw)), np.int16)
    for place in range(longest):
        count = int(np.searchsorted(-open_at, -place, side="left"))
        rows[place, :count] = state[:count]
        state[:count] = NEXT[state[:count], grid[place, :count]]
    for column, at in enumerate(order):
        length = len(raw[at])
        words[at] = PAIRS + rows[:length, column].astype(np.int64) * len(KINDS) + kinds[at]
    found = []
    for one, word in zip(raw, words):
        classes = CLASS[np.concatenate(([0x20], one)).astype(np.int64)]
        found.append(np.concatenate((classes[:-1] * CLASSES + classes[1:], word)))
    return found
