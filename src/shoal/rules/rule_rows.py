"""Rules as rows of the journal and of the database: plain values. Fields with the default value are left out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, fields
from typing import Any

import msgspec

from shoal.errors import StoreError
from shoal.rules.rule import Part, Rule

RuleRow = dict[str, Any]
"""``{"id", "words", …}``: the fields of a rule that differ from those of a new one, as JSON values."""


def _plain(value: object) -> Any:
    return msgspec.json.decode(msgspec.json.encode(value))


_DEFAULTS = {entry.name: _plain(entry.default) for entry in fields(Rule) if entry.default is not MISSING}
_PART_DEFAULTS: dict[str, Any] = {"text": "", "image_url": "", "width": 0, "height": 0}


def rule_row(rule: Rule) -> RuleRow:
    """Return the rule as a row."""
    row: RuleRow = _plain(rule)
    row = {name: value for name, value in row.items() if name not in _DEFAULTS or value != _DEFAULTS[name]}
    if rule.parts:
        row["parts"] = [part_row(part) for part in rule.parts]
    return row


def part_row(part: Part) -> dict[str, Any]:
    """Return a part of an answer as a row."""
    return {name: value for name, empty in _PART_DEFAULTS.items() if (value := getattr(part, name)) != empty}


def rule_of(row: Mapping[str, Any]) -> Rule:
    """Return the rule of a row. Raises ``StoreError`` (``unreadable_account``) for an invalid row."""
    try:
        return msgspec.convert(row, Rule)
    except (msgspec.ValidationError, ValueError) as error:
        raise StoreError(f"rule {row.get('id')} cannot be read: {error}", code="unreadable_account") from None
