"""Answers of queries in PromQL over gauges: ``sum max min`` with ``by``, comparisons, ``and``, ``or``, ``*``.

What looks at a time (``rate``, ``[5m]``) is not answered. The answers were compared with those of Prometheus 2.53.
"""

from __future__ import annotations

import operator
import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from typing import Final

from prometheus_client.parser import text_string_to_metric_families

Labels = frozenset[tuple[str, str]]
Vector = dict[Labels, float]
NAME: Final = "__name__"
_TOKEN: Final = re.compile(r'\s*([a-zA-Z_:][\w:]*|\d+(?:\.\d+)?(?:e\d+)?|"[^"]*"|=~|!=|==|>=|<=|[-+*/(){},=<>])')
_GROUPS: Final[dict[str, Callable[[list[float]], float]]] = {"sum": sum, "max": max, "min": min}
_COMPARE: Final[dict[str, Callable[[float, float], bool]]] = {
    ">": operator.gt, "<": operator.lt, ">=": operator.ge, "<=": operator.le, "==": operator.eq, "!=": operator.ne,
}  # fmt: skip


def scraped(pages: Mapping[str, str], job: str = "shoal") -> Vector:
    """Return the samples of the pages of several servers, each with the labels that a scrape adds."""
    samples: Vector = {}
    for instance, page in pages.items():
        for family in text_string_to_metric_families(page):
            for one in family.samples:
                labels = {NAME: one.name, **one.labels, "job": job, "instance": instance}
                samples[frozenset(labels.items())] = one.value
    return samples


def answered(query: str, samples: Vector) -> Vector:
    """Return the answer to a query, by the labels of its series. Raises ``ValueError`` for one that is not known."""
    tokens = [*_tokens(query), ""]
    asked = _Query(tokens, samples)
    answer = asked.either()
    if tokens[asked.at] or not isinstance(answer, dict):
        raise ValueError(query)
    return answer


def _tokens(query: str) -> Iterator[str]:
    at = 0
    while at < len(query.rstrip()):
        found = _TOKEN.match(query, at)
        if found is None:
            raise ValueError(query)
        yield found[1]
        at = found.end()


class _Query:
    """Reads the tokens of one query from left to right."""

    def __init__(self, tokens: list[str], samples: Vector) -> None:
        self.at = 0
        self._tokens = tokens
        self._samples = samples

    def either(self) -> Vector | float:
        left = self._compared()
        while (word := self._tokens[self.at]) in {"or", "and"}:
            self.at += 1
            right = self._compared()
            assert isinstance(left, dict)
            assert isinstance(right, dict)
            left = {**right, **left} if word == "or" else {key: one for key, one in left.items() if key in right}
        return left

    def _compared(self) -> Vector | float:
        left = self._product()
        compare = _COMPARE.get(self._tokens[self.at])
        if compare is None:
            return left
        self.at += 1
        right = self._product()
        assert isinstance(left, dict)
        others = right if isinstance(right, dict) else dict.fromkeys(left, right)
        return {key: value for key, value in left.items() if key in others and compare(value, others[key])}

    def _product(self) -> Vector | float:
        left = self._part()
        while self._tokens[self.at] == "*":
            self.at += 1
            right = self._part()
            assert isinstance(left, float)
            left = {key: left * value for key, value in right.items()} if isinstance(right, dict) else left * right
        return left

    def _part(self) -> Vector | float:
        word = self._next()
        if word == "(":
            inside = self.either()
            self._expect(")")
            return inside
        if word[0].isdigit():
            return float(word)
        if word in _GROUPS:
            return self._grouped(word)
        if word == "absent":
            self._expect("(")
            found = self.either()
            self._expect(")")
            return {} if found else {frozenset(): 1.0}
        if word == "vector":
            self._expect("(")
            value = float(self._next())
            self._expect(")")
            return {frozenset(): value}
        return self._selected(word)

    def _grouped(self, word: str) -> Vector:
        by = self._names() if self._tokens[self.at] == "by" else set()
        self._expect("(")
        inside = self.either()
        self._expect(")")
        assert isinstance(inside, dict)
        groups = defaultdict[Labels, list[float]](list)
        for labels, value in inside.items():
            groups[frozenset(one for one in labels if one[0] in by)].append(value)
        return {labels: _GROUPS[word](values) for labels, values in groups.items()}

    def _names(self) -> set[str]:
        self.at += 1
        self._expect("(")
        names = set[str]()
        while (word := self._next()) != ")":
            names |= {word} - {","}
        return names

    def _selected(self, name: str) -> Vector:
        wanted = [(NAME, "=", name)]
        if self._tokens[self.at] == "{":
            self.at += 1
            while (word := self._next()) != "}":
                if word != ",":
                    wanted.append((word, self._next(), self._next()[1:-1]))
        return {
            labels: value
            for labels, value in self._samples.items()
            if all(_fits(dict(labels).get(label, ""), how, words) for label, how, words in wanted)
        }

    def _next(self) -> str:
        self.at += 1
        return self._tokens[self.at - 1]

    def _expect(self, word: str) -> None:
        if self._next() != word:
            raise ValueError(" ".join(self._tokens))


def _fits(value: str, how: str, words: str) -> bool:
    if how == "=~":
        return re.fullmatch(words, value) is not None
    return (value == words) is (how == "=")
