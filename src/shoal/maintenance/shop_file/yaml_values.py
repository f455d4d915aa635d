"""YAML text as plain values, with the line of each: no tags, no aliases, no key twice, and limits of size and depth.

Every scalar is a text, or ``None`` for an empty one and ``null``: what a field is decides how its text is read. So
``no`` is a keyword where a text is expected, and an item id keeps its digits.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
import yaml

from shoal.errors import InvalidInput

MAX_DEPTH = 20
MAX_VALUES = 1_000_000

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_NULLS = frozenset({"", "~", "null", "Null", "NULL"})


class FileFault(msgspec.Struct, frozen=True):
    """Why a file cannot be used: the line, the place in the file (such as ``accounts.shop.remark``), the reason."""

    line: int
    place: str
    error: InvalidInput


class UnusableFile(InvalidInput):
    """A file has faults, so nothing of it is used: its author must correct them."""

    code = "bad_shop_file"

    def __init__(self, faults: Sequence[FileFault]) -> None:
        self.faults = tuple(sorted(faults, key=lambda fault: fault.line))
        super().__init__(f"{len(self.faults)} faults")


@dataclass(frozen=True, slots=True)
class Lines:
    """The line on which a list or a mapping begins, and those of what is in it: of a scalar its number alone."""

    line: int
    parts: dict[str | int, Lines | int] = field(default_factory=dict)

    def of(self, path: Sequence[str | int]) -> int:
        """Return the line of the value at a path, or of the nearest one around it."""
        here = self
        for step in path:
            inner = here.parts.get(step)
            if not isinstance(inner, Lines):
                return here.line if inner is None else inner
            here = inner
        return here.line


class YamlText(msgspec.Struct, frozen=True):
    """What a text says: its values, the line of each, and the faults of single places."""

    values: Any
    lines: Lines
    faults: tuple[FileFault, ...]


def read_yaml(text: str) -> YamlText:
    """Read one YAML document. Raises ``UnusableFile`` when it is none, or is more than a file of shops may be."""
    reading = _Reading()
    try:
        for event in yaml.parse(text, Loader=_LOADER):
            reading.take(event)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = mark.line + 1 if mark is not None else _line_of(text, getattr(error, "position", 0))
        why = getattr(error, "problem", None) or getattr(error, "reason", None) or "no YAML"
        raise UnusableFile([_fault(line, "shop_file_syntax", why=str(why)[:200])]) from None
    return YamlText(reading.root, reading.lines, tuple(reading.faults))


def _line_of(text: str, position: int) -> int:
    return text.count("\n", 0, position) + 1


def _fault(line: int, code: str, place: str = "", **params: Any) -> FileFault:
    return FileFault(line, place, InvalidInput(code, code=code, **params))


@dataclass(slots=True)
class _Open:
    """A list or mapping that is not closed yet; ``key`` waits for its value."""

    values: list[Any] | dict[str, Any]
    lines: Lines
    key: str = ""
    has_key: bool = False


class _Reading:
    """Builds the values from the parser's events. A reader of whole documents would follow aliases first."""

    def __init__(self) -> None:
        self.root: Any = None
        self.lines = Lines(1)
        self.faults: list[FileFault] = []
        self._open: list[_Open] = []
        self._count = 0
        self._documents = 0

    def take(self, event: Any) -> None:
        """Take the next event of the parser."""
        line = event.start_mark.line + 1
        if isinstance(event, yaml.DocumentStartEvent):
            self._documents += 1
            if self._documents > 1:
                raise UnusableFile([_fault(line, "shop_file_documents")])
        elif isinstance(event, yaml.AliasEvent):
            raise UnusableFile([_fault(line, "shop_file_alias")])
        elif isinstance(event, yaml.ScalarEvent):
            self._check(event, line)
            self._scalar(event, line)
        elif isinstance(event, yaml.CollectionStartEvent):
            self._check(event, line)
            self._begin([] if isinstance(event, yaml.SequenceStartEvent) else {}, line)
        elif isinstance(event, yaml.CollectionEndEvent):
            self._open.pop()

    def _check(self, event: Any, line: int) -> None:
        if event.anchor is not None:
            raise UnusableFile([_fault(line, "shop_file_alias")])
        if event.tag is not None:
            raise UnusableFile([_fault(line, "shop_file_tag", tag=str(event.tag)[:100])])
        self._count += 1
        if self._count > MAX_VALUES:
            raise UnusableFile([_fault(line, "shop_file_size", limit=MAX_VALUES)])

    def _scalar(self, event: Any, line: int) -> None:
        text = str(event.value)
        if self._open and isinstance(self._open[-1].values, dict) and not self._open[-1].has_key:
            self._key(self._open[-1], text, line)
            return
        self._put(None if not event.style and text in _NULLS else text, line)

    def _key(self, around: _Open, key: str, line: int) -> None:
        if key in around.values:
            self.faults.append(_fault(line, "shop_file_key_twice", self._place(key), key=key[:100]))
        around.key, around.has_key = key, True

    def _begin(self, values: list[Any] | dict[str, Any], line: int) -> None:
        if self._open and isinstance(self._open[-1].values, dict) and not self._open[-1].has_key:
            raise UnusableFile([_fault(line, "shop_file_syntax", why="a key is a text")])
        if len(self._open) >= MAX_DEPTH:
            raise UnusableFile([_fault(line, "shop_file_depth", limit=MAX_DEPTH)])
        lines = Lines(line)
        self._put(values, lines)
        self._open.append(_Open(values, lines))

    def _put(self, value: Any, lines: Lines | int) -> None:
        if not self._open:
            self.root, self.lines = value, lines if isinstance(lines, Lines) else Lines(lines)
            return
        around = self._open[-1]
        if isinstance(around.values, list):
            around.lines.parts[len(around.values)] = lines
            around.values.append(value)
        else:
            around.lines.parts[around.key] = lines
            around.values[around.key] = value
            around.has_key = False

    def _place(self, key: str) -> str:
        return ".".join([*self._steps(), key])

    def _steps(self) -> Iterator[str]:
        for around in self._open[:-1]:
            yield around.key if isinstance(around.values, dict) else str(len(around.values) - 1)
