# SPDX-License-Identifier: Apache-2.0
"""Which metrics and labels a PromQL expression names; enough of the language for our own rules."""

import dataclasses
import re

WORDS = {"by", "without", "on", "ignoring", "group_left", "group_right", "bool", "offset"}
OPERATORS = {"and", "or", "unless", "inf", "nan"}


@dataclasses.dataclass
class Names:
    metrics: set[str]
    labels: set[str]
    # Of the outermost aggregation, which comes first: the labels of the result.
    result: tuple[str, ...] | None


def names(expression: str) -> Names:
    text = re.sub(r'"(?:[^"\\]|\\.)*"|\'(?:[^\'\\]|\\.)*\'', '""', expression)
    text = re.sub(r"\[[^\]]*\]", "", text)
    labels: set[str] = set()
    result = None
    for selector in re.findall(r"\{([^}]*)\}", text):
        labels.update(re.findall(r"([a-zA-Z_]\w*)\s*(?:=~|!~|!=|=)", selector))
    text = re.sub(r"\{[^}]*\}", "", text)
    for word, group in re.findall(r"\b(by|without|on|ignoring)\s*\(([^)]*)\)", text):
        listed = tuple(part.strip() for part in group.split(",") if part.strip())
        labels.update(listed)
        if word == "by" and result is None:
            result = listed
    text = re.sub(r"\b(?:by|without|on|ignoring)\s*\([^)]*\)", "", text)
    metrics = {
        match.group()
        for match in re.finditer(r"(?<![\w:.])[a-zA-Z_:][\w:]*(?!\s*\()(?![\w:])", text)
        if match.group() not in WORDS | OPERATORS
    }
    return Names(metrics, labels, result)
