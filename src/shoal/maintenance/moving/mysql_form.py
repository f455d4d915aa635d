"""Turns the tables of xianyu-auto-reply's later MySQL form into those of its SQLite form.

They hold the same under other names: ``xy_accounts`` has a number for an account beside its id, and cards are bound to
items instead of words of their titles. The columns that begin with ``@`` have what only this form says of an account.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from shoal.maintenance.moving.contract import contract_of
from shoal.maintenance.moving.legacy import AI_SETTINGS
from shoal.maintenance.moving.mysql_cards import CardRules
from shoal.maintenance.moving.old_shop import Fate, Oddity
from shoal.maintenance.moving.tables import OldRow, OldTables, proxy_of

CONTRACT: Final = contract_of("mysql")
Values = Mapping[str, Any]
_OFF: Final = frozenset({"inactive", "disabled", "suspended", "deleted"})
"""The states in which an account did not run there."""
_AI: Final = "metadata.ai_reply_settings."
_SKIP_REPLY, _SKIP_NOTICE = "skip_reply", "skip_notify"
_PROXY: Final = ("proxy_type", "proxy_host", "proxy_port", "proxy_user", "proxy_pass")
_ADMIN: Final = "ADMIN"


def is_mysql_form(tables: OldTables) -> bool:
    """Return whether these are tables of the MySQL form."""
    return tables.has("xy_accounts")


def as_sqlite_form(tables: OldTables) -> OldTables:
    """Return the rows under the names of the SQLite form."""
    return _Form(CONTRACT.apply(tables)).whole()


class _Form:
    def __init__(self, tables: OldTables) -> None:
        self._tables = tables
        self._found = OldTables(tables.oddities)
        self._ids = {row.stripped("id"): row.text("account_id") for row in tables.of("xy_accounts")}
        self._owned: defaultdict[str, list[str]] = defaultdict(list)
        for row in tables.of("xy_accounts"):
            self._owned[row.stripped("owner_id")].append(row.text("account_id"))
        self._ending = {row.stripped("id") for row in tables.of("xy_users") if row.stripped("expire_at")}
        settings = {row.stripped("key"): row for row in tables.of("xy_system_settings")}
        self._has_proxy = "proxy.enabled" in settings and settings["proxy.enabled"].flag("value", default=True)
        self._silent = self._silent_words()
        self._without_delivery = {
            row.text("account_id") for row in tables.of("xy_delivery_block_rules") if row.flag("enabled", default=True)
        }

    def whole(self) -> OldTables:
        """Return all tables, and what there is to tell of their rows."""
        makers: Mapping[str, tuple[str, Callable[[OldRow], Values | None]]] = {
            "users": ("xy_users", self._user),
            "cookies": ("xy_accounts", self._account),
            "cookie_status": ("xy_accounts", self._status),
            "ai_reply_settings": ("xy_accounts", _ai),
            "default_replies": ("xy_default_replies", _default_reply),
            "default_reply_records": ("xy_default_reply_records", _record),
            "item_info": ("xy_catalog_items", self._item),
            "cards": ("xy_cards", _card),
            "orders": ("xy_orders", self._order),
            "notification_channels": ("xy_notification_channels", _channel),
            "message_notifications": ("xy_message_notifications", self._notification),
            "system_settings": ("xy_system_settings", lambda row: _same(row, "key", "value")),
            "user_settings": ("xy_user_settings", lambda row: _same(row, "key")),
        }
        for name, (source, make) in makers.items():
            self._add(name, (made for row in self._tables.of(source) if (made := make(row)) is not None))
        self._add("keywords", (made for row in self._tables.of("xy_keyword_rules") for made in self._keywords(row)))
        self._add("delivery_rules", CardRules(self._tables, self._found.oddities).rules())
        for row in self._tables.of("xy_delivery_block_rules"):
            if row.flag("enabled", default=True):
                self._odd("xy_delivery_block_rules", row, "block_rule", rule=row.stripped("rule_code"))
        return self._found

    def _add(self, name: str, made: Iterator[Values]) -> None:
        self._found.rows[name] = [OldRow(number, values) for number, values in enumerate(made, 1)]

    def _account_id(self, reference: str) -> str:
        """Return the id of an account that a row names by its number, or by its id."""
        return self._ids.get(reference, reference)

    # ── users and accounts ──────────────────────────────────────────────────────────────────────────────────────

    def _user(self, row: OldRow) -> Values:
        if row.stripped("expire_at"):
            self._odd("xy_users", row, "user_ends", until=row.stripped("expire_at")[:40])
        return {
            "id": row.text("id"),
            "username": row.text("username"),
            "email": row.text("email"),
            "password_hash": row.text("password_hash"),
            "is_active": int(row.stripped("status").upper() == "ACTIVE"),
            "is_admin": int(row.stripped("role").upper() == _ADMIN),
        }

    def _account(self, row: OldRow) -> Values:
        never_confirms = row.flag("only_send_card", default=False)
        if never_confirms:
            self._odd("xy_accounts", row, "never_confirmed", fate=Fate.TAKEN)
        delivers = row.text("account_id") not in self._without_delivery
        reason = row.stripped("delivery_disabled_reason")[:200]
        if row.flag("delivery_disabled", default=False):
            delivers = False
            self._odd("xy_accounts", row, "delivery_disabled_for" if reason else "delivery_disabled", reason=reason)
        elif reason:
            self._odd("xy_accounts", row, "block_reason", reason=reason)
        if row.stripped("disable_reason"):
            self._odd("xy_accounts", row, "was_off_because", reason=row.stripped("disable_reason")[:200])
        holds = ["owner_ends"] if row.stripped("owner_id") in self._ending else []
        if self._has_proxy and not proxy_of(row):
            holds.append("system_proxy")
        return {
            "id": row.text("account_id"),
            "value": row.text("cookie"),
            "user_id": row.text("owner_id"),
            "auto_confirm": 0 if never_confirms else row.text("auto_confirm") or 0,
            "remark": row.text("remark"),
            "pause_duration": row.text("pause_duration"),
            **_same(row, *_PROXY),
            "@name": row.stripped("display_name"),
            "@delivers": delivers,
            "@holds": tuple(holds),
            "@debounce": row.number_of("reply_delay_seconds") or 0,
            "@silent": tuple(self._silent[row.text("account_id")]),
        }

    def _status(self, row: OldRow) -> Values:
        state = row.stripped("status").lower()
        if state not in {*_OFF, "active", ""}:
            self._odd("xy_accounts", row, "account_state_unknown", state=state[:40])
        return {"cookie_id": row.text("account_id"), "enabled": int(state == "active")}

    def _silent_words(self) -> Mapping[str, list[str]]:
        """Return the words after which nothing was answered, by account."""
        words: defaultdict[str, list[str]] = defaultdict(list)
        for row in self._tables.of("xy_message_filters"):
            if not row.flag("enabled", default=True):
                continue
            kind = row.stripped("filter_type")
            if row.text("account_id") not in self._ids.values():
                self._odd("xy_message_filters", row, "unknown_account", account=row.text("account_id"))
                continue
            if kind != _SKIP_NOTICE:  # also of a kind that is not known: it may forbid as much
                words[row.text("account_id")].append(row.stripped("keyword"))
            code = {_SKIP_REPLY: "filter_is_rule", _SKIP_NOTICE: "filter_of_notices"}.get(kind, "filter_of_other_kind")
            self._odd("xy_message_filters", row, code, word=row.stripped("keyword")[:100])
        return words

    # ── what belongs to accounts ────────────────────────────────────────────────────────────────────────────────

    def _keywords(self, row: OldRow) -> Iterator[Values]:
        """Yield a rule for its account. One without an account is for each account of its owner, and off: that system
        never looked at it."""
        number = row.stripped("account_id")
        rule = {
            "keyword": row.text("keyword"),
            "reply": row.text("reply_content"),
            "type": row.stripped("reply_type"),
            "image_url": row.stripped("image_url"),
            "item_id": row.stripped("item_id"),
            "is_active": row.text("is_active") if number else 0,
        }
        mine = [self._account_id(number)] if number else self._owned[row.stripped("owner_id")]
        if not number:
            self._odd("xy_keyword_rules", row, "rule_for_all", fate=Fate.CHANGED if mine else Fate.SKIPPED)
        for account_id in mine:
            yield {"cookie_id": account_id, **rule}

    def _item(self, row: OldRow) -> Values:
        return {
            "cookie_id": self._account_id(row.stripped("account_id")),
            "item_id": row.text("item_id"),
            "item_title": row.text("title"),
            "item_price": row.text("price"),
            "multi_quantity_delivery": row.text("metadata.multi_quantity_delivery"),
        }

    def _order(self, row: OldRow) -> Values:
        return {
            **_same(row, "item_id", "buyer_id", "spec_name", "spec_value", "quantity", "amount"),
            "order_id": row.text("order_no"),
            "order_status": row.text("status"),
            "cookie_id": self._account_id(row.stripped("account_id")),
            "created_at": row.text("placed_at") or row.text("created_at"),
        }

    def _notification(self, row: OldRow) -> Values:
        return {
            "id": row.text("id"),
            "cookie_id": row.text("account_identifier") or self._account_id(row.stripped("account_pk")),
            "channel_id": row.text("channel_id"),
            "enabled": row.text("enabled"),
        }

    def _odd(self, table: str, row: OldRow, code: str, *, fate: Fate = Fate.CHANGED, **params: Any) -> None:
        label = row.name(*CONTRACT.tables[table].row.split())
        self._found.oddities.append(Oddity(table=table, row=label, code=code, fate=fate, params=params))


def _same(row: OldRow, *names: str) -> dict[str, Any]:
    """Return the values of columns that have the same names in both forms."""
    return {name: row.text(name) for name in names}


def _ai(row: OldRow) -> Values | None:
    """Return the settings of answers by a model, which stand in an object of the account."""
    settings = {name: value for name in AI_SETTINGS if (value := row.text(f"{_AI}{name}"))}
    is_on = row.flag(f"{_AI}ai_enabled", default=row.flag(f"{_AI}enabled", default=False))
    return {"cookie_id": row.text("account_id"), "ai_enabled": is_on, **settings} if settings or is_on else None


def _default_reply(row: OldRow) -> Values:
    same = ("id", "item_id", "enabled", "reply_type", "reply_content", "reply_image", "reply_once", "updated_at")
    return {"cookie_id": row.text("account_id"), **_same(row, *same)}


def _record(row: OldRow) -> Values:
    """Return who had a reply that is sent once: that system keeps the chat's id in a column for the user's."""
    return {"id": row.text("id"), "cookie_id": row.text("account_id"), "chat_id": row.text("user_id")}


def _card(row: OldRow) -> Values:
    return _same(
        row, "id", "name", "type", "user_id", "description", "enabled", "delay_seconds", "is_multi_spec", "spec_name",
        "spec_value", "api_config", "text_content", "data_content", "image_url", "image_urls", "created_at",
    )  # fmt: skip


def _channel(row: OldRow) -> Values:
    config = row.values.get("config")
    return {
        "id": row.text("id"),
        "name": row.text("name"),
        "type": row.text("channel_type"),
        "user_id": row.text("owner_id"),
        "config": json.dumps(config, ensure_ascii=False) if isinstance(config, dict) else row.text("config"),
        "enabled": row.text("enabled"),
        "created_at": row.text("created_at"),
    }
