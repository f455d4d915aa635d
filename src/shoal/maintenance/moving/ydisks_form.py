"""Reads the database of Ydisks-Xianyu-Helper, a descendant of xianyu-auto-reply, as if it had that system's tables."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Any, Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from shoal.maintenance.moving.contract import contract_of
from shoal.maintenance.moving.legacy import TABLES as LEGACY_TABLES
from shoal.maintenance.moving.old_shop import Fate, Oddity
from shoal.maintenance.moving.tables import OldRow, OldTables

PREFIX: Final = "enc:v1:"
_NONCE_BYTES: Final = 12


class StillSealed(ValueError):
    """The value is sealed, and the key does not open it."""


class OldSecrets:
    """Opens values with one key; without a key only those that are not sealed."""

    def __init__(self, key: str = "") -> None:
        """``key``: the setting XIANYU_DATA_KEY of that system."""
        self._cipher = AESGCM(hashlib.sha256(key.strip().encode()).digest()) if key.strip() else None

    def opened(self, scope: str, owner: str, value: str) -> str:
        """Return the value in clear. Raises ``StillSealed``."""
        if not value.startswith(PREFIX):
            return value
        if self._cipher is None:
            raise StillSealed
        body = value.removeprefix(PREFIX)
        try:
            raw = base64.b64decode(body + "=" * (-len(body) % 4), validate=True)
            clear = self._cipher.decrypt(raw[:_NONCE_BYTES], raw[_NONCE_BYTES:], f"{scope}\0{owner}".encode())
            return clear.decode()
        except (InvalidTag, ValueError, binascii.Error):
            raise StillSealed from None


CONTRACT: Final = contract_of("ydisks")
_RULES, _ACTIONS = "automation_rules", "automation_rule_actions"
TABLES: Final = tuple(CONTRACT.tables)
"""The tables that are read."""

_PAID, _CARD, _CONFIRM = "order_paid", "send_card", "confirm_shipment"
_TRIGGERS: Final = {
    "order_created": "price_rule",
    "buyer_reviewed": "gift_rule",
    "review_missing_timeout": "review_rule",
}
"""What else starts a rule there, with the codes of the sentences that say that it is not done here."""
_SEALED: Final = {
    "cookies": ("value", "cookie", "id"),
    "cards": ("api_config", "card-api-config", "user_id"),
    "notification_channels": ("config", "notification-config", "user_id"),
    "system_settings": ("value", "system-setting", "key"),
}
"""Of each table the column that may be sealed, what its seal is for, and the column of its owner."""
_LABELS: Final = {"keywords": "keyword", "orders": "order_id", "users": "username", "system_settings": "key"}

CODES: Final = frozenset(
    {
        *_TRIGGERS.values(), "other_rule", "deleted_there", "sealed_there", "rule_never_ran", "action_never_ran",
        "second_card", "specs_add_up", "api_card",
    }
)  # fmt: skip
"""The codes of its oddities, each with a sentence ``moving.odd.CODE``."""


def is_ydisks_form(tables: OldTables) -> bool:
    """Return whether the tables are those of that system."""
    return tables.has(_RULES)


def as_sqlite_form(tables: OldTables, *, key: str = "") -> OldTables:
    """Return the tables as xianyu-auto-reply has them. ``key`` (its setting XIANYU_DATA_KEY) opens what was sealed."""
    return _Form(CONTRACT.apply(tables), OldSecrets(key)).whole()


class _Form:
    def __init__(self, tables: OldTables, secrets: OldSecrets) -> None:
        self._tables = tables
        self._secrets = secrets
        self._oddities = list(tables.oddities)

    def whole(self) -> OldTables:
        rows = {name: list(self._kept(name)) for name in LEGACY_TABLES if name in TABLES and self._tables.has(name)}
        rows["keywords"] = sorted(rows.get("keywords", []), key=lambda one: -len(one.text("keyword")))
        rows["cards"] = [self._card(row) for row in rows.get("cards", [])]
        rows["delivery_rules"] = [OldRow(number, values) for number, values in enumerate(self._paid_rules(), 1)]
        found = OldTables(oddities=self._oddities)
        found.rows = rows
        return found

    def _kept(self, table: str) -> Iterator[OldRow]:
        """Yield the rows that were not deleted there, in clear. Rows that cannot be opened are oddities."""
        for row in self._tables.of(table):
            if row.stripped("deleted_at"):
                self._odd(table, row, "deleted_there", _LABELS.get(table, "id"))
            elif (opened := self._opened(table, row)) is not None:
                yield opened

    def _opened(self, table: str, row: OldRow) -> OldRow | None:
        column, scope, owner = _SEALED.get(table, ("", "", ""))
        if not column or not row.text(column):
            return row
        try:
            clear = self._secrets.opened(scope, row.text(owner), row.text(column))
        except StillSealed:
            self._odd(table, row, "sealed_there", _LABELS.get(table, "id"))
            return None
        return OldRow(row.number, {**row.values, column: clear})

    def _card(self, row: OldRow) -> OldRow:
        """Return a card with nothing around its content, and without a spec: there the rules have specs and delays."""
        bare = {**row.values, "description": "", "delay_seconds": 0, "is_multi_spec": 0}
        if row.stripped("type") == "api":
            self._odd("cards", row, "api_card", "id", fate=Fate.CHANGED)
            bare["api_config"] = _api_config(row.text("api_config"))
        return OldRow(row.number, bare)

    # ── what buyers get after paying ────────────────────────────────────────────────────────────────────────────

    def _paid_rules(self) -> Iterator[dict[str, Any]]:
        """Yield the rules of paid orders. Of several for one item only the first one ever ran."""
        actions: dict[str, list[OldRow]] = defaultdict(list)
        for row in _in_order(self._tables.of(_ACTIONS), "sort_order"):
            actions[row.stripped("rule_id")].append(row)
        seen: set[tuple[str, str]] = set()
        for row in _in_order(self._tables.of(_RULES), "priority"):
            place = (row.text("cookie_id"), row.stripped("item_id"))
            trigger, is_on = row.stripped("trigger_type"), row.flag("enabled", default=True)
            if row.stripped("deleted_at"):
                self._odd(_RULES, row, "deleted_there", "name")
            elif trigger != _PAID:
                self._odd(_RULES, row, _TRIGGERS.get(trigger, "other_rule"), "name")
            elif is_on and place in seen:
                self._odd(_RULES, row, "rule_never_ran", "name")
            else:
                if is_on:
                    seen.add(place)
                yield from self._cards_of(row, actions[row.stripped("id")], is_on=is_on)

    def _cards_of(self, rule: OldRow, actions: list[OldRow], *, is_on: bool) -> Iterator[dict[str, Any]]:
        """Yield one rule for each card that a rule sent."""
        acting = [one for one in actions if one.flag("enabled", default=True)]
        confirms = any(one.stripped("action_type") == _CONFIRM for one in acting)
        specs: set[tuple[str, str]] = set()
        for one in actions:
            spec = _spec_of(one)
            if one.stripped("action_type") == _CONFIRM:
                continue
            if one not in acting or one.stripped("action_type") != _CARD or spec is None:
                self._odd(_ACTIONS, one, "action_never_ran", "id")
            elif spec in specs:
                self._odd(_ACTIONS, one, "second_card", "id")
            else:
                specs.add(spec)
                yield {
                    "id": f"{rule.text('id')}/{one.text('id')}",
                    "card_id": one.text("card_id"),
                    "cookie_id": rule.text("cookie_id"),
                    "item_id": rule.stripped("item_id"),
                    "user_id": rule.text("user_id"),
                    "delivery_count": one.number_of("delivery_count") or 1,
                    "spec_name": spec[0],
                    "spec_value": spec[1],
                    "delay_seconds": one.number_of("delay_seconds") or 0,
                    "confirm": "" if confirms else "no",
                    "enabled": is_on,
                }
        if ("", "") in specs and len(specs) > 1:
            self._odd(_RULES, rule, "specs_add_up", "name", fate=Fate.CHANGED)

    def _odd(self, table: str, row: OldRow, code: str, *labels: str, fate: Fate = Fate.SKIPPED) -> None:
        self._oddities.append(Oddity(table=table, row=row.label(*labels), code=code, fate=fate))


def _in_order(rows: Iterable[OldRow], column: str) -> list[OldRow]:
    return sorted(rows, key=lambda one: (one.number_of(column) or 0, one.number_of("id") or one.number))


def _api_config(text: str) -> str:
    """Return the configuration of a call by the names of xianyu-auto-reply; what is no JSON stays as it is."""
    try:
        config = json.loads(text)
    except ValueError:
        return text
    if not isinstance(config, dict):
        return text
    names = ("url", "method", "headers")
    return json.dumps(
        {name: config[name] for name in names if name in config}
        | {"params": config.get("body") or config.get("params") or {}, "timeout": config.get("timeout_seconds") or 20}
        | {"code_path": config.get("response_path") or ""},
        ensure_ascii=False,
    )


def _spec_of(action: OldRow) -> tuple[str, str] | None:
    """Return the name and value of the spec for which a card is sent, empty for every spec; ``None``: for no order."""
    try:
        config = json.loads(action.text("config_json") or "{}")
    except ValueError:
        return None
    if not isinstance(config, dict):
        return None
    return str(config.get("spec_name") or "").strip(), str(config.get("spec_value") or "").strip()
