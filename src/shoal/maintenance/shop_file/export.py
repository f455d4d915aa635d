"""Shops as a file: the settings of each in the form in which they can be applied again, without secrets."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
import yaml

from shoal.accounts.account import Account
from shoal.accounts.delivery_rule import DeliveryRule
from shoal.maintenance.shop_file.shapes import VERSION, SettingsPart
from shoal.rules.rule import Part, Rule

SETTINGS = tuple(SettingsPart.model_fields)
"""What stands below ``settings``: all but the proxy, which has a password, and the views of delivery rules."""

ITEM_SECTIONS = {"item_replies": "reply", "item_facts": "facts", "item_floors": "floor_fen"}
"""The sections of settings of items, and the setting of each."""
_UNSET = {"reply": "", "facts": "", "floor_fen": None}
_RULE_NAMES = (
    "words",
    "word_mode",
    "match_mode",
    "item_ids",
    "priority",
    "delay_seconds",
    "cooldown_seconds",
    "active",
)
_DELIVERY_NAMES = ("item_id", "title_contains", "spec", "count", "nothing_to_send", "delay_seconds", "confirm")

Row = dict[str, Any]


def file_of(shops: Iterable[Row]) -> Row:
    """Return the file of these shops, each a row of ``shop_row`` with its id as ``id``."""
    found = list(shops)
    return {"version": VERSION, "accounts": {row.pop("id"): row for row in found}}


def shop_row(account: Account, goods: Mapping[int, str], staff: Mapping[str, str] | None) -> Row:
    """Return one shop. ``goods`` has the names of its owner's goods; ``staff`` ``None``: the reader may not know it."""
    row: Row = {
        "id": account.id,
        "enabled": account.enabled,
        "settings": {name: getattr(account, name) for name in SETTINGS},
        **{section: item_values(account, name) for section, name in ITEM_SECTIONS.items()},
        "rules": [rule_row(rule) for rule in account.keywords],
        "deliveries": [delivery_row(rule, goods) for rule in account.deliveries],
    }
    return row if staff is None else {**row, "staff": dict(staff)}


def item_values(account: Account, name: str) -> Row:
    """Return one setting of the items that have it, by item id."""
    values = ((item.item_id, getattr(item, name)) for item in account.items)
    return {item_id: value for item_id, value in values if value != _UNSET[name]}


def rule_row(rule: Rule) -> Row:
    """Return a rule without what a new one has anyway. Its position is its place in the list."""
    row: Row = msgspec.to_builtins(rule)
    found = {"id": rule.id, **{name: row[name] for name in _RULE_NAMES if name in row}}
    if rule.schedule:
        found["schedule"] = row["schedule"]
    if rule.parts:
        found["parts"] = [part_row(part) for part in rule.parts]
    return found


def delivery_row(rule: DeliveryRule, goods: Mapping[int, str]) -> Row:
    """Return a delivery rule without what a new one has anyway."""
    row: Row = msgspec.to_builtins(rule)
    found = {name: row[name] for name in _DELIVERY_NAMES if name in row}
    if rule.goods_id is not None:
        found["goods_id"] = rule.goods_id
        if rule.goods_id in goods:
            found["goods"] = goods[rule.goods_id]
    if rule.parts:
        found["parts"] = [part_row(part) for part in rule.parts]
    return found


def part_row(part: Part) -> Row:
    """Return a message. The size of a picture is measured again when it is applied."""
    return {"image_url": part.image_url} if part.image_url else {"text": part.text}


class _Dumper(yaml.SafeDumper):
    """Short lists on one line, texts of several lines as such, and no aliases."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002
        return True


_ODD = frozenset("\x85\u2028\u2029\ufeff")


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.Node:
    lines = text.split("\n")
    is_block = len(lines) > 1 and text[:1].strip() and all(line == line.rstrip() for line in lines) and lines[-1]
    if _ODD.intersection(text) or not text.replace("\n", "").isprintable():
        style: str | None = '"'
    else:
        style = "|" if is_block else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


def _list(dumper: yaml.SafeDumper, values: Iterable[Any]) -> yaml.Node:
    found = list(values)
    flat = not any(isinstance(value, dict | list | tuple) or "\n" in str(value) for value in found)
    return dumper.represent_sequence("tag:yaml.org,2002:seq", found, flow_style=flat)


_Dumper.add_representer(str, _text)
_Dumper.add_representer(list, _list)
_Dumper.add_representer(tuple, _list)


def written_yaml(file: Row, *, schema_url: str) -> str:
    """Return the file as YAML, with the address of its schema for editors."""
    body: str = yaml.dump(
        file, Dumper=_Dumper, allow_unicode=True, sort_keys=False, width=120, default_flow_style=False
    )
    return f"# yaml-language-server: $schema={schema_url}\n{body}"
