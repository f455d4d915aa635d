"""Turns the tables of xianyu-auto-reply's later MySQL form into those of its SQLite form.

They hold the same under other names: ``xy_accounts`` has a number for an account beside its id, and cards are bound to
items instead of words of their titles.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, Final

from shoal.maintenance.moving.tables import OldRow, OldTables

TABLES: Final = (
    "xy_users", "xy_accounts", "xy_keyword_rules", "xy_default_replies", "xy_default_reply_records", "xy_catalog_items",
    "xy_cards", "xy_card_item_relations", "xy_orders", "xy_notification_channels", "xy_message_notifications",
)  # fmt: skip
Values = Mapping[str, Any]
_CARD: Final = (
    "id", "name", "type", "user_id", "description", "enabled", "delay_seconds", "is_multi_spec", "spec_name",
    "spec_value", "api_config", "text_content", "data_content", "image_url", "created_at",
)  # fmt: skip


def is_mysql_form(tables: OldTables) -> bool:
    """Return whether these are tables of the MySQL form."""
    return tables.has("xy_accounts")


def as_sqlite_form(tables: OldTables) -> OldTables:
    """Return the rows under the names of the SQLite form."""
    form = _Form(tables)
    found = OldTables(tables.oddities)
    for name, (source, make) in form.makers.items():
        made = [values for row in tables.of(source) if (values := make(row)) is not None]
        known = found.rows.setdefault(name, [])
        known += [OldRow(len(known) + number, values) for number, values in enumerate(made, 1)]
    found.rows["item_replay"] = [
        OldRow(number, values)
        for number, row in enumerate(tables.of("xy_default_replies"), 1)
        if (values := form.item_reply(row)) is not None
    ]
    found.rows["delivery_rules"] += [
        OldRow(len(found.rows["delivery_rules"]) + number, values)
        for number, row in enumerate(tables.of("xy_cards"), 1)
        if (values := form.own_item(row)) is not None
    ]
    return found


class _Form:
    def __init__(self, tables: OldTables) -> None:
        self._ids = {row.stripped("id"): row.text("account_id") for row in tables.of("xy_accounts")}
        self._bound = {
            (row.stripped("card_id"), row.stripped("item_id")) for row in tables.of("xy_card_item_relations")
        }
        self.makers: Mapping[str, tuple[str, Callable[[OldRow], Values | None]]] = {
            "users": ("xy_users", _user),
            "cookies": ("xy_accounts", _account),
            "cookie_status": ("xy_accounts", _status),
            "keywords": ("xy_keyword_rules", self._keyword),
            "default_replies": ("xy_default_replies", _default_reply),
            "item_info": ("xy_catalog_items", self._item),
            "cards": ("xy_cards", _card),
            "delivery_rules": ("xy_card_item_relations", _relation),
            "orders": ("xy_orders", self._order),
            "notification_channels": ("xy_notification_channels", _channel),
            "message_notifications": ("xy_message_notifications", self._notification),
        }

    def _account_id(self, reference: str) -> str:
        """Return the id of an account that a row names by its number, or by its id."""
        return self._ids.get(reference, reference)

    def _keyword(self, row: OldRow) -> Values:
        return {
            "cookie_id": self._account_id(row.stripped("account_id")),
            "keyword": row.text("keyword"),
            "reply": row.text("reply_content"),
            "type": row.stripped("reply_type"),
            "image_url": row.stripped("image_url"),
            "item_id": row.stripped("item_id"),
            "is_active": row.text("is_active"),
        }

    def _item(self, row: OldRow) -> Values:
        return {
            "cookie_id": self._account_id(row.stripped("account_id")),
            "item_id": row.text("item_id"),
            "item_title": row.text("title"),
            "multi_quantity_delivery": 1,
        }

    def _order(self, row: OldRow) -> Values:
        same = ("item_id", "buyer_id", "spec_name", "spec_value", "quantity", "amount")
        return {
            **{name: row.text(name) for name in same},
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

    def item_reply(self, row: OldRow) -> Values | None:
        """Return the reply of one item, which stands among the default replies."""
        if not row.stripped("item_id") or not row.flag("enabled", default=False):
            return None
        return {
            "id": row.text("id"),
            "cookie_id": row.text("account_id"),
            "item_id": row.text("item_id"),
            "reply_content": row.text("reply_content"),
            "updated_at": row.text("updated_at"),
        }

    def own_item(self, row: OldRow) -> Values | None:
        """Return the rule of a card that names its item itself, unless the table of bindings has it too."""
        card, item = row.stripped("id"), row.stripped("item_id")
        if not item or (card, item) in self._bound:
            return None
        return {"id": f"card {card}", "card_id": card, "item_id": item, "user_id": row.text("user_id")}


def _user(row: OldRow) -> Values:
    return {
        "id": row.text("id"),
        "username": row.text("username"),
        "email": row.text("email"),
        "password_hash": row.text("password_hash"),
        "is_active": int(row.stripped("status").upper() == "ACTIVE"),
    }


def _account(row: OldRow) -> Values:
    return {
        "id": row.text("account_id"),
        "value": row.text("cookie"),
        "user_id": row.text("owner_id"),
        "auto_confirm": row.text("auto_confirm") or 0,
        "remark": row.text("remark") or row.text("display_name"),
        "pause_duration": row.text("pause_duration"),
        "password": row.text("login_password"),
    }


def _status(row: OldRow) -> Values:
    return {"cookie_id": row.text("account_id"), "enabled": int(row.stripped("status").lower() == "active")}


def _default_reply(row: OldRow) -> Values | None:
    if row.stripped("item_id"):
        return None
    return {
        "cookie_id": row.text("account_id"),
        "enabled": row.text("enabled"),
        "reply_content": row.text("reply_content"),
        "reply_once": row.text("reply_once"),
        "reply_image": row.text("reply_image"),
    }


def _card(row: OldRow) -> Values:
    return {name: row.values.get(name) for name in _CARD}


def _relation(row: OldRow) -> Values:
    return {
        "id": row.text("id"),
        "card_id": row.text("card_id"),
        "item_id": row.text("item_id"),
        "user_id": row.text("user_id"),
    }


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
