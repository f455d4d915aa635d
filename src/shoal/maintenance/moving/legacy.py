"""Reads what xianyu-auto-reply holds, from the tables of its SQLite file, of its backup, or of its MySQL form."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any, Final, Literal, TypeVar

from shoal.maintenance.moving.old_shop import (
    CardKind,
    Fate,
    Oddity,
    OldAccount,
    OldAi,
    OldCard,
    OldChannel,
    OldDefaultReply,
    OldDeliveryRule,
    OldItem,
    OldItemReply,
    OldOrder,
    OldRule,
    OldShop,
    OldUser,
    Source,
)
from shoal.maintenance.moving.tables import OldRow, OldTables

TABLES: Final = (
    "users", "cookies", "cookie_status", "keywords", "default_replies", "default_reply_records", "item_replay",
    "item_info", "cards", "delivery_rules", "orders", "ai_reply_settings", "notification_channels",
    "message_notifications", "system_settings", "user_settings",
)  # fmt: skip
"""The tables that are read. The others hold what has no meaning here: conversations with a model, a cache, a log."""
_ADMINISTRATOR: Final = "admin"
_CONTENT: Final = {
    CardKind.TEXT: "text_content",
    CardKind.DATA: "data_content",
    CardKind.IMAGE: "image_url",
    CardKind.API: "api_config",
}
_AI_OWN: Final = frozenset({"cookie_id", "ai_enabled", "created_at", "updated_at"})
_AI_OF_SYSTEM: Final = ("ai_model", "ai_api_key", "ai_api_url", "ai_base_url", "default_reply_prompt")
_PLACEHOLDER: Final = "auto_"
"""The beginning of an item's id that the old system made up."""
_CONFIRMS: Final[Mapping[str, Literal["yes", "no"]]] = {"yes": "yes", "no": "no"}
_T = TypeVar("_T")


def old_shop_of(tables: OldTables) -> OldShop:
    """Return what the tables hold; rows that belong to no account, or that say nothing, become oddities."""
    return _Reader(tables).whole()


class _Reader:
    def __init__(self, tables: OldTables) -> None:
        self._tables = tables
        self._oddities = list(tables.oddities)
        self._accounts = {row.text("id") for row in tables.of("cookies")}

    def whole(self) -> OldShop:
        users = self._users()
        accounts = self._all_accounts()
        return OldShop(
            source=Source.LEGACY,
            version=self._setting("db_version"),
            users=tuple(users),
            accounts=tuple(accounts),
            cards=tuple(self._each("cards", self._card)),
            delivery_rules=tuple(self._each("delivery_rules", _delivery_rule)),
            channels=tuple(self._channels()),
            waiting=self._waiting(),
            oddities=tuple(self._oddities),
        )

    # ── users ───────────────────────────────────────────────────────────────────────────────────────────────────

    def _users(self) -> list[OldUser]:
        return [
            OldUser(
                id=row.stripped("id"),
                name=row.stripped("username"),
                email=row.stripped("email"),
                password_hash=row.stripped("password_hash").lower(),
                active=row.flag("is_active", default=True),
                is_administrator=row.stripped("username") == _ADMINISTRATOR,
            )
            for row in self._tables.of("users")
        ]

    # ── accounts ────────────────────────────────────────────────────────────────────────────────────────────────

    def _all_accounts(self) -> list[OldAccount]:
        rules = self._by_account("keywords", _rule)
        defaults = self._by_account("default_replies", _default_reply)
        answered = self._by_account("default_reply_records", lambda row: row.stripped("chat_id"))
        replies = self._by_account("item_replay", _item_reply)
        items = self._by_account("item_info", self._item)
        orders = self._by_account("orders", _order)
        ai = self._by_account("ai_reply_settings", _ai)
        status = self._by_account("cookie_status", lambda row: row.flag("enabled", default=True))
        found: dict[str, OldAccount] = {}
        for row in self._tables.of("cookies"):
            name = row.text("id")
            if name in found or not name:
                self._odd("cookies", row, "account_twice" if name else "account_without_id", "id")
                continue
            chats = tuple(answered.get(name, ()))
            default = next(reversed(defaults.get(name, [])), OldDefaultReply() if chats else None)
            found[name] = OldAccount(
                id=name,
                user_id=row.stripped("user_id"),
                cookie=row.text("value"),
                was_on=status.get(name, [True])[-1],
                auto_confirm=row.flag("auto_confirm", default=True),
                remark=row.stripped("remark"),
                pause_duration=row.number_of("pause_duration"),
                rules=tuple(rules.get(name, ())),
                default_reply=None if default is None else replace(default, answered_chats=chats),
                item_replies=tuple(replies.get(name, ())),
                items=tuple(item for item in items.get(name, ()) if item is not None),
                orders=tuple(orders.get(name, ())),
                ai=next(reversed(ai.get(name, [])), None),
            )
            if row.stripped("password"):
                self._odd("cookies", row, "site_password", "id")
        return list(found.values())

    def _by_account(self, table: str, make: Callable[[OldRow], _T]) -> dict[str, list[_T]]:
        """Return what the rows of a table say by account. A row of an account that is not there is an oddity."""
        found: defaultdict[str, list[_T]] = defaultdict(list)
        for row in self._tables.of(table):
            name = row.text("cookie_id")
            if name in self._accounts:
                found[name].append(make(row))
            else:
                self._odd(table, row, "unknown_account", *_LABELS.get(table, ()), account=name)
        return found

    def _item(self, row: OldRow) -> OldItem | None:
        item_id = row.stripped("item_id")
        if not item_id or item_id.startswith(_PLACEHOLDER):
            self._odd("item_info", row, "made_up_item", "item_id")
            return None
        return OldItem(
            item_id=item_id,
            title=row.stripped("item_title"),
            price=row.stripped("item_price"),
            each_piece=row.flag("multi_quantity_delivery", default=False),
        )

    # ── cards and channels ──────────────────────────────────────────────────────────────────────────────────────

    def _each(self, table: str, make: Callable[[OldRow], _T | None]) -> list[_T]:
        return [one for row in self._tables.of(table) if (one := make(row)) is not None]

    def _card(self, row: OldRow) -> OldCard | None:
        try:
            kind = CardKind(row.stripped("type"))
        except ValueError:
            self._odd("cards", row, "unknown_card_type", "id", kind=row.stripped("type"))
            return None
        has_spec = row.flag("is_multi_spec", default=False)
        return OldCard(
            id=row.stripped("id"),
            name=row.stripped("name"),
            kind=kind,
            user_id=row.stripped("user_id"),
            content=row.text(_CONTENT[kind]),
            description=row.text("description"),
            is_on=row.flag("enabled", default=True),
            delay_seconds=row.number_of("delay_seconds") or 0,
            spec_name=row.stripped("spec_name") if has_spec else "",
            spec_value=row.stripped("spec_value") if has_spec else "",
            created_at=row.stripped("created_at"),
        )

    def _channels(self) -> Iterable[OldChannel]:
        accounts: defaultdict[str, list[str]] = defaultdict(list)
        channels = {row.stripped("id") for row in self._tables.of("notification_channels")}
        for row in self._tables.of("message_notifications"):
            account, channel = row.text("cookie_id"), row.stripped("channel_id")
            if account not in self._accounts:
                self._odd("message_notifications", row, "unknown_account", "id", account=account)
            elif channel not in channels:
                self._odd("message_notifications", row, "unknown_channel", "id", channel=channel)
            elif row.flag("enabled", default=True):
                accounts[channel].append(account)
        for row in self._tables.of("notification_channels"):
            yield OldChannel(
                id=row.stripped("id"),
                name=row.stripped("name"),
                kind=row.stripped("type"),
                user_id=row.stripped("user_id"),
                config=row.text("config"),
                is_on=row.flag("enabled", default=True),
                account_ids=tuple(accounts[row.stripped("id")]),
                created_at=row.stripped("created_at"),
            )

    # ── settings of the whole system ────────────────────────────────────────────────────────────────────────────

    def _setting(self, key: str) -> str:
        found = (row.stripped("value") for row in self._tables.of("system_settings") if row.text("key") == key)
        return next(found, "")

    def _waiting(self) -> Mapping[str, Any]:
        """Return the system's settings of answers by a model. Others have no meaning here, and are oddities."""
        kept = {name: value for name in _AI_OF_SYSTEM if (value := self._setting(name))}
        for row in self._tables.of("system_settings"):
            if row.text("key") not in {*_AI_OF_SYSTEM, "db_version"} and row.stripped("value"):
                self._odd("system_settings", row, "setting_unknown_here", "key")
        for row in self._tables.of("user_settings"):
            self._odd("user_settings", row, "setting_unknown_here", "key")
        return kept

    def _odd(self, table: str, row: OldRow, code: str, *labels: str, **params: Any) -> None:
        self._oddities.append(Oddity(table=table, row=row.label(*labels), code=code, fate=Fate.SKIPPED, params=params))


_LABELS: Final[Mapping[str, tuple[str, ...]]] = {
    "keywords": ("keyword",), "item_replay": ("id", "item_id"), "item_info": ("item_id", "id"), "orders": ("order_id",),
    "default_reply_records": ("id",),
}  # fmt: skip


def _rule(row: OldRow) -> OldRule:
    is_image = row.stripped("type").lower() == "image"
    return OldRule(
        row=row.label("keyword"),
        keyword=row.text("keyword"),
        reply="" if is_image else row.text("reply"),
        image=row.stripped("image_url") if is_image else "",
        item_id=row.stripped("item_id"),
        is_on=row.flag("is_active", default=True),
    )


def _default_reply(row: OldRow) -> OldDefaultReply:
    return OldDefaultReply(
        text=row.text("reply_content"),
        is_on=row.flag("enabled", default=False),
        once=row.flag("reply_once", default=False),
        image=row.stripped("reply_image"),
    )


def _item_reply(row: OldRow) -> OldItemReply:
    changed_at = row.stripped("updated_at")
    return OldItemReply(
        row=row.label("id"), item_id=row.stripped("item_id"), text=row.text("reply_content"), changed_at=changed_at
    )


def _order(row: OldRow) -> OldOrder:
    names = ("order_id", "item_id", "buyer_id", "spec_name", "spec_value", "quantity", "amount", "created_at")
    return OldOrder(status=row.stripped("order_status"), **{name: row.stripped(name) for name in names})


def _ai(row: OldRow) -> OldAi:
    settings = {name: value for name, value in row.values.items() if name not in _AI_OWN and value not in {None, ""}}
    return OldAi(is_on=row.flag("ai_enabled", default=False), settings=settings)


def _delivery_rule(row: OldRow) -> OldDeliveryRule:
    count = row.number_of("delivery_count")
    return OldDeliveryRule(
        row=row.label("id"),
        card_id=row.stripped("card_id"),
        keyword=row.stripped("keyword"),
        item_id=row.stripped("item_id"),
        account_id=row.text("cookie_id"),
        user_id=row.stripped("user_id"),
        count=1 if count is None else count,
        is_on=row.flag("enabled", default=True),
        spec_name=row.stripped("spec_name"),
        spec_value=row.stripped("spec_value"),
        delay_seconds=row.number_of("delay_seconds"),
        confirm=_CONFIRMS.get(row.stripped("confirm")),
    )
