"""Reads what xianyu-auto-reply holds, from the tables of its SQLite file, of its backup, or of its MySQL form."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any, Final, Literal, TypeVar

from shoal.clock import now_ms
from shoal.maintenance.moving.contract import contract_of
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
from shoal.maintenance.moving.tables import OldRow, OldTables, proxy_of

CONTRACT: Final = contract_of("sqlite")
TABLES: Final = tuple(CONTRACT.tables)
"""The tables that are read."""
_ADMINISTRATOR: Final = "admin"
_HOLDING: Final = {
    "xy_personal_blacklist": ("blacklist_there", "buyers_barred"),
    "xy_message_filter_rules": ("filters_there", "filters_left"),
}
"""Tables of descendants in which a row that is on forbids what cannot be forbidden here: why the shops for which it
counts stay off, and what is reported about the table."""
_CONTENT: Final = {
    CardKind.TEXT: "text_content",
    CardKind.DATA: "data_content",
    CardKind.IMAGE: "image_url",
    CardKind.API: "api_config",
}
AI_SETTINGS: Final = (
    "model_name", "api_key", "base_url", "max_discount_percent", "max_discount_amount", "max_bargain_rounds",
    "custom_prompts", "ai_time_range_start", "ai_time_range_end",
)  # fmt: skip
"""The settings of answers by a model that are taken."""
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
        rows = self._tables.of("users")
        managing = [row for row in rows if row.flag("is_admin", default=False)]
        named = (row for row in rows if row.stripped("username") == _ADMINISTRATOR)
        administrator = next(named, None) or next(iter(managing), None)
        return [
            OldUser(
                id=row.stripped("id"),
                name=row.stripped("username"),
                email=row.stripped("email"),
                password_hash=row.stripped("password_hash").lower(),
                active=row.flag("is_active", default=True),
                is_administrator=row is administrator,
                had_rights=row is not administrator and row in managing,
            )
            for row in rows
        ]

    # ── accounts ────────────────────────────────────────────────────────────────────────────────────────────────

    def _all_accounts(self) -> list[OldAccount]:
        rules = self._by_account("keywords", self._rule)
        written = self._by_account("default_replies", self._default_reply)
        answered = self._by_account("default_reply_records", lambda row: row.stripped("chat_id"))
        replies = self._by_account("item_replay", _item_reply)
        items = self._by_account("item_info", self._item)
        orders = self._by_account("orders", _order)
        ai = self._by_account("ai_reply_settings", _ai)
        status = self._by_account("cookie_status", self._status)
        holds = self._holds()
        found: dict[str, OldAccount] = {}
        for row in self._tables.of("cookies"):
            name = row.text("id")
            if name in found or not name:
                self._odd("cookies", row, "account_twice" if name else "account_without_id", "id")
                continue
            chats = tuple(answered.get(name, ()))
            defaults = [one for one in written.get(name, ()) if isinstance(one, OldDefaultReply)]
            own = [one for one in written.get(name, ()) if isinstance(one, OldItemReply)]
            default = next(reversed(defaults), OldDefaultReply() if chats else None)
            found[name] = OldAccount(
                id=name,
                user_id=row.stripped("user_id"),
                cookie=row.text("value"),
                was_on=status.get(name, [True])[-1],
                auto_confirm=row.flag("auto_confirm", default=True),
                delivers=row.flag("@delivers", default=True),
                proxy=self._proxy(row),
                holds=(*row.values.get("@holds", ()), *holds(row)),
                name=row.stripped("@name") or row.stripped("nickname"),
                remark=row.stripped("remark"),
                pause_duration=row.number_of("pause_duration"),
                debounce_seconds=row.number_of("@debounce") or 0,
                silent_words=row.values.get("@silent", ()),
                rules=tuple(rules.get(name, ())),
                default_reply=None if default is None else replace(default, answered_chats=chats),
                item_replies=(*replies.get(name, ()), *own),
                items=tuple(items.get(name, ())),
                orders=tuple(orders.get(name, ())),
                ai=next(reversed(ai.get(name, [])), None),
            )
        return list(found.values())

    def _holds(self) -> Callable[[OldRow], Iterator[str]]:
        """Return what says of an account why it must not be turned on, as codes."""
        of_account: defaultdict[str, set[str]] = defaultdict(set)
        of_user: defaultdict[str, set[str]] = defaultdict(set)
        for table, (code, reported) in _HOLDING.items():
            rows = [row for row in self._tables.of(table) if row.flag("is_enabled", default=True)]
            for row in rows:
                account = row.text("cookie_id")
                (of_account[account] if account else of_user[row.stripped("user_id")]).add(code)
            if rows:
                params = {"count": len(rows)}
                self._oddities.append(Oddity(table=table, row="", code=reported, fate=Fate.SKIPPED, params=params))

        def of(row: OldRow) -> Iterator[str]:
            yield from sorted(of_account[row.text("id")] | of_user[row.stripped("user_id")])
            if (row.number_of("paused_until") or 0) * 1000 > now_ms():
                yield "paused_there"

        return of

    def _proxy(self, row: OldRow) -> str:
        proxy = proxy_of(row)
        if not proxy and row.stripped("proxy_host"):
            self._odd("cookies", row, "proxy_was_off", "id", fate=Fate.CHANGED)
        return proxy

    def _by_account(self, table: str, make: Callable[[OldRow], _T | None]) -> dict[str, list[_T]]:
        """Return what the rows of a table say by account. A row of an account that is not there is an oddity."""
        found: defaultdict[str, list[_T]] = defaultdict(list)
        for row in self._tables.of(table):
            name = row.text("cookie_id")
            if name not in self._accounts:
                code = "unknown_account" if name else "of_no_account"
                self._odd(table, row, code, *_LABELS.get(table, ()), account=name)
            elif (made := make(row)) is not None:
                found[name].append(made)
        return found

    def _rule(self, row: OldRow) -> OldRule:
        kind = row.stripped("type").lower()
        if kind not in {"", "text", "image"}:
            self._odd("keywords", row, "rule_of_other_kind", "keyword", fate=Fate.CHANGED, kind=kind[:40])
        return OldRule(
            row=row.label("keyword"),
            keyword=row.text("keyword"),
            reply="" if kind == "image" else row.text("reply"),
            image=row.stripped("image_url") if kind == "image" else "",
            item_id=row.stripped("item_id"),
            is_on=row.flag("is_active", default=True) and kind in {"", "text", "image"},
        )

    def _status(self, row: OldRow) -> bool:
        if row.stripped("disable_reason"):
            reason = row.stripped("disable_reason")[:200]
            self._odd("cookie_status", row, "was_off_because", "cookie_id", fate=Fate.CHANGED, reason=reason)
        return row.flag("enabled", default=True)

    def _default_reply(self, row: OldRow) -> OldDefaultReply | OldItemReply | None:
        if row.stripped("item_id"):
            return self._own_reply(row)
        is_on = row.flag("enabled", default=False)
        if is_on and _is_asked(row):
            self._odd("default_replies", row, "reply_asked", "cookie_id", fate=Fate.CHANGED)
        return OldDefaultReply(
            text=row.text("reply_content"),
            is_on=is_on and not _is_asked(row),
            once=row.flag("reply_once", default=False),
            image=row.stripped("reply_image") or row.stripped("reply_image_url"),
        )

    def _own_reply(self, row: OldRow) -> OldItemReply | None:
        """Return the reply of one item that stands among the default replies, unless something limited it there."""
        item = row.stripped("item_id")
        reasons = {
            "item_reply_off": not row.flag("enabled", default=False),
            "reply_asked": _is_asked(row),
            "item_reply_once": row.flag("reply_once", default=False),
        }
        if code := next((code for code, applies in reasons.items() if applies), ""):
            self._odd("default_replies", row, code, "cookie_id", item=item[:64])
            return None
        if row.stripped("reply_image") or row.stripped("reply_image_url"):
            self._odd("default_replies", row, "item_reply_picture", "cookie_id", fate=Fate.CHANGED, item=item[:64])
        return _item_reply(row)

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
        if (pictures := _pictures(row.text("image_urls"))) > 1:
            self._odd("cards", row, "pictures_beyond", "id", fate=Fate.CHANGED, count=pictures - 1)
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
            spec_value=_spec_value(row) if has_spec else "",
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

    def _odd(self, table: str, row: OldRow, code: str, *labels: str, fate: Fate = Fate.SKIPPED, **params: Any) -> None:
        self._oddities.append(Oddity(table=table, row=row.label(*labels), code=code, fate=fate, params=params))


_LABELS: Final[Mapping[str, tuple[str, ...]]] = {
    "keywords": ("keyword",), "item_replay": ("id", "item_id"), "item_info": ("item_id", "id"), "orders": ("order_id",),
    "default_reply_records": ("id",),
}  # fmt: skip


def _is_asked(row: OldRow) -> bool:
    """Whether a reply's text was asked for at an address, so that the one that is stored is old."""
    return row.stripped("reply_type").lower() not in {"", "text"}


def _spec_value(row: OldRow) -> str:
    """Return the value of a card's spec; after it the second spec of a descendant, as delivery rules have it."""
    second = ":".join(row.stripped(name) for name in ("spec_name_2", "spec_value_2"))
    return ";".join(one for one in (row.stripped("spec_value"), second) if one.strip(":"))


def _pictures(text: str) -> int:
    try:
        found = json.loads(text or "[]")
    except ValueError:
        return 0
    return len(found) if isinstance(found, list) else 0


def _item_reply(row: OldRow) -> OldItemReply:
    changed_at = row.stripped("updated_at")
    return OldItemReply(
        row=row.label("id"), item_id=row.stripped("item_id"), text=row.text("reply_content"), changed_at=changed_at
    )


def _order(row: OldRow) -> OldOrder:
    names = ("order_id", "item_id", "buyer_id", "spec_name", "spec_value", "quantity", "amount", "created_at")
    return OldOrder(status=row.stripped("order_status"), **{name: row.stripped(name) for name in names})


def _ai(row: OldRow) -> OldAi:
    settings = {name: value for name in AI_SETTINGS if (value := row.text(name))}
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
