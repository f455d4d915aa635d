"""Delivery rules as rows of their table: read, and written where they differ."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec
from sqlalchemy import Connection, RowMapping, and_, bindparam, delete, insert, update

from shoal.accounts.delivery_rule import Confirm, DeliveryRule, rule_of_row
from shoal.accounts.store import Change
from shoal.errors import StaleGeneration, StoreError
from shoal.storage.schema import Row, delivery_rules
from shoal.storage.spec_incidents import note_specs

_KEY = ("item_id", "title_contains", "spec")
_PLAIN = ("goods_id", "count", "nothing_to_send", "delay_seconds")
_THIS = and_(
    delivery_rules.c.account_id == bindparam("b_account"),
    *(delivery_rules.c[name] == bindparam(f"b_{name}") for name in _KEY),
)


def read_delivery_rule(row: RowMapping) -> DeliveryRule:
    """Return the rule of a row. Raises ``StoreError`` (``unreadable_account``)."""
    values: dict[str, Any] = {name: row[name] for name in (*_KEY, *_PLAIN)}
    try:
        parts = msgspec.json.decode(row["parts"]) if row["parts"] else ()
        return rule_of_row({**values, "parts": parts, "confirm": _confirm_of(row["confirm"])})
    except (msgspec.DecodeError, ValueError, StoreError) as error:
        raise StoreError(f"account {row['account_id']}: {error}", code="unreadable_account") from None


def write_delivery_rules(connection: Connection, changes: Iterable[Change]) -> None:
    """Write the rules that differ, and note whether their items have their specs.

    Raises ``StaleGeneration`` when a row is missing.
    """
    removed: list[Row] = []
    edited: list[Row] = []
    added: list[Row] = []
    by_spec: dict[str, int] = {}
    for change in changes:
        old = change.old.deliveries if change.old is not None else ()
        if change.new is None or old is change.new.deliveries:
            continue
        if any(rule.item_id and rule.spec for rule in (*old, *change.new.deliveries)):
            by_spec[change.account_id] = change.op.at_ms
        before = {rule.key: rule for rule in old}
        for rule in change.new.deliveries:
            known = before.pop(rule.key, None)
            if known is None:
                added.append({"account_id": change.account_id, **_key_of(rule), **_values(rule)})
            elif known != rule:
                edited.append({**_named(change.account_id, rule), **_values(rule)})
        removed += [_named(change.account_id, rule) for rule in before.values()]
    if removed and connection.execute(delete(delivery_rules).where(_THIS), removed).rowcount != len(removed):
        raise StaleGeneration("a delivery rule that was to be removed is not there")
    if edited and connection.execute(update(delivery_rules).where(_THIS), edited).rowcount != len(edited):
        raise StaleGeneration("a delivery rule that was to be edited is not there")
    if added:
        connection.execute(insert(delivery_rules), added)
    if by_spec:
        note_specs(connection, sorted(by_spec), max(by_spec.values()))


def _key_of(rule: DeliveryRule) -> Row:
    return {name: getattr(rule, name) for name in _KEY}


def _named(account_id: str, rule: DeliveryRule) -> Row:
    return {"b_account": account_id, **{f"b_{name}": getattr(rule, name) for name in _KEY}}


def _values(rule: DeliveryRule) -> Row:
    plain = {name: getattr(rule, name) for name in _PLAIN}
    parts = msgspec.json.encode(rule.parts).decode() if rule.parts else ""
    return {**plain, "parts": parts, "confirm": "" if rule.confirm is None else str(rule.confirm)}


def _confirm_of(text: str) -> Confirm:
    if not text:
        return None
    return int(text) if text.isdigit() else text  # type: ignore[return-value]  # checked by ``rule_of_row``
