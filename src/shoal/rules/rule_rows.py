"""Rules as rows of the journal: plain values. Fields with the default value are left out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import msgspec

from shoal.errors import StoreError
from shoal.rules.rule import Rule

Part = TypeVar("Part")
RuleRow = dict[str, Any]
"""``{"id", "words", …}``: the fields of a rule that differ from those of a new one, as JSON values."""

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode


def plain(value: Any) -> Any:
    """Return a value as it comes back from JSON, with a row for each rule."""
    return _decode(_encode(value))


def delta_of(old: Mapping[str, Part], new: Mapping[str, Part]) -> dict[str, list[Any]]:
    """Return what differs between parts by their keys: ``added``, ``removed``, and ``edited`` in pairs."""
    return {
        "added": [part for key, part in new.items() if key not in old],
        "removed": [part for key, part in old.items() if key not in new],
        "edited": [
            (old[key], part) for key, part in new.items() if old.get(key, part) is not part and old[key] != part
        ],
    }


def rule_rows(rules: Sequence[Rule]) -> list[RuleRow]:
    """Return the rules as rows, in their order."""
    rows: list[RuleRow] = plain(rules)
    return rows


def rule_of(row: Mapping[str, Any]) -> Rule:
    """Return the rule of a row. Raises ``StoreError`` (``unreadable_account``) for an invalid row."""
    try:
        return msgspec.convert(row, Rule)
    except (msgspec.ValidationError, ValueError) as error:
        raise StoreError(f"rule {row.get('id')} cannot be read: {error}", code="unreadable_account") from None
