"""Recognises units of goods in what a shop sent before a restore, as the site's history has it: in clear.

Nothing in the restored database says which texts they were in. A unit is found by its digest, which each part of a text
that stands by itself is compared with: between ends of lines, blanks and punctuation, or where the script changes.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Collection, Iterator
from typing import Final

from sqlalchemy import Connection, select, union

from shoal.goods.sent_units import RESTORED
from shoal.goods.unit_texts import MAX_CHARACTERS, UnitTexts, masked
from shoal.storage.among import among
from shoal.storage.goods_tables import bindings, stock_history, units

MOST_PARTS: Final = 5_000
"""How many parts of one text are compared. Of a text with more only whole lines are."""
_BEFORE: Final = frozenset(":=,;([{<\"'|")
_AFTER: Final = frozenset(",;)]}>\"'|.!?")
_BLANK, _LATIN, _MARK, _OTHER = range(4)


class UnitsInHistory:
    """Masks units in texts that are older than the last restore; without one, and of later texts, it does nothing."""

    def __init__(self, texts: UnitTexts, restored_at_ms: int) -> None:
        """``restored_at_ms``: 0 when no backup was ever restored."""
        self._texts = texts
        self._restored_at_ms = restored_at_ms
        self._goods: frozenset[int] | None = None
        """Goods with units that may have left between the backup and its restore; ``None`` before the first text."""

    def masked(self, connection: Connection, text: str, sent_at_ms: int) -> str:
        """Return a text with its units masked. Raises like the database."""
        if sent_at_ms > self._restored_at_ms:
            return text
        if self._goods is None:
            self._goods = self._concerned(connection)
        if not self._goods:
            return text
        parts = {
            (goods, self._texts.digest(text[first:end], goods)): (first, end)
            for first, end in parts_of(text)
            for goods in self._goods
        }
        found = [parts[known] for known in _known(connection, parts) if known in parts]
        return _without(text, found)

    def _concerned(self, connection: Connection) -> frozenset[int]:
        left = select(bindings.c.goods_id).where(
            bindings.c.state == "out",
            bindings.c.created_at_ms >= self._restored_at_ms,
            bindings.c.created_at_ms == bindings.c.settled_at_ms,
        )
        switched_off = select(stock_history.c.goods_id).where(
            stock_history.c.reason == RESTORED, stock_history.c.at_ms >= self._restored_at_ms
        )
        return frozenset(connection.scalars(union(left, switched_off)))


def parts_of(text: str) -> Iterator[tuple[int, int]]:
    """Yield where each part of a text that may be a unit begins and ends."""
    kinds = [_kind_of(character) for character in text]
    firsts = [at for at in range(len(text)) if kinds[at] != _BLANK and _begins(text, kinds, at)]
    ends = [at for at in range(1, len(text) + 1) if kinds[at - 1] != _BLANK and _ends(text, kinds, at)]
    if len(firsts) * len(ends) > 2 * MOST_PARTS:
        firsts = [at for at in firsts if at == 0 or text[at - 1] == "\n"]
        ends = [at for at in ends if at == len(text) or text[at] == "\n"]
    spans = ((first, end) for first in firsts for end in ends if first < end <= first + MAX_CHARACTERS)
    for count, span in enumerate(spans):
        if count == MOST_PARTS:
            return
        yield span


def _begins(text: str, kinds: list[int], at: int) -> bool:
    return at == 0 or kinds[at - 1] != kinds[at] or text[at - 1] in _BEFORE


def _ends(text: str, kinds: list[int], at: int) -> bool:
    return at == len(text) or kinds[at] != kinds[at - 1] or text[at] in _AFTER


def _kind_of(character: str) -> int:
    if character.isspace():
        return _BLANK
    if character.isascii():
        return _LATIN
    return _MARK if unicodedata.category(character).startswith("P") else _OTHER


def _known(connection: Connection, parts: Collection[tuple[int, str]]) -> list[tuple[int, str]]:
    """Return which of these digests are those of units."""
    goods = sorted({one for one, _ in parts})
    query = select(units.c.goods_id, units.c.digest).where(
        among(units.c.goods_id, goods), among(units.c.digest, sorted({digest for _, digest in parts}))
    )
    return [(goods_id, digest) for goods_id, digest in connection.execute(query)]


def _without(text: str, found: list[tuple[int, int]]) -> str:
    """Return a text with these parts masked; of parts within one another the longest."""
    done, pieces = 0, list[str]()
    for first, end in sorted(found, key=lambda part: (part[0], -part[1])):
        if first >= done:
            pieces += [text[done:first], masked(text[first:end])]
            done = end
    return "".join([*pieces, text[done:]])
