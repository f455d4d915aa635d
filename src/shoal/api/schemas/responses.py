"""Answers as JSON: accounts, changes, journal entries. They never contain a cookie."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from shoal.accounts.account import Account, AccountState, Answers, Observation
from shoal.accounts.cookie_manager import CookieManager
from shoal.accounts.item_setting import ItemSetting
from shoal.accounts.journal import JournalEntry
from shoal.accounts.setting_kinds import Way
from shoal.accounts.setting_models import gives
from shoal.accounts.shop_settings import declared_in
from shoal.accounts.undo import can_undo
from shoal.api.schemas.op_ids import shown_op_id
from shoal.auth.permission import Permission
from shoal.xianyu.browser import OWN, browser_of
from shoal.xianyu.proxy import shown_proxy
from shoal.xianyu.site_pages import MESSAGES_URL

_LAST_MS = 253_402_300_799_999
"""The last time that RFC 3339 can represent."""


PermissionWord = Literal["read", "reply", "operate", "own"]
_PERMISSION_WORDS: dict[Permission, PermissionWord] = {
    Permission.READ: "read", Permission.REPLY: "reply", Permission.OPERATE: "operate", Permission.OWN: "own",
}  # fmt: skip


def rfc3339(at_ms: int) -> str:
    """Return a time as text in UTC; a time after the year 9999 becomes the last one that fits."""
    return (
        datetime.fromtimestamp(min(at_ms, _LAST_MS) / 1000, UTC)
        .isoformat(timespec="milliseconds")
        .replace("+00:00", "Z")
    )


def old_time(at_ms: int) -> str:
    """Return a time as the older system writes it: UTC, to the second."""
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")


def maybe_rfc3339(at_ms: int | None) -> str | None:
    """Return a time as text, or ``None``."""
    return None if at_ms is None else rfc3339(at_ms)


def etag(generation: int) -> str:
    """Return the ETag of a generation: the version of all that the owner set for an account."""
    return f'"g{generation}"'


def etag_of(account: Account) -> str:
    """Return the ETag of the account as it is now."""
    return etag(account.generation)


def example(**body: Any) -> ConfigDict:
    """Return the config of an answer's model, with its example."""
    return ConfigDict(json_schema_extra={"examples": [body]})


class ChangeFacts(BaseModel):
    """The fields that every answer to a change has."""

    changed: bool
    generation: int
    rev: int
    state: AccountState
    op_id: str


CHANGE_EXAMPLE: dict[str, Any] = {
    "changed": True, "generation": 7, "rev": 120, "state": "running", "op_id": "7d0c1f7a4b6e4f0e9d1b0c7a5e2f3a41",
}  # fmt: skip


_ANSWERED = declared_in(Way.ANSWER)


@gives(_ANSWERED)
class DesiredBody(BaseModel):
    """The desired state: what the owner set."""

    enabled: bool
    proxy: str
    """Without user name and password; empty for a direct connection."""
    keyword_count: int
    item_count: int
    delivery_count: int


class ObservedBody(BaseModel):
    """The observed state of the connection."""

    detail: str
    crash_loop: bool
    parked_reason: str
    parked_since: str | None
    connected_at: str | None
    last_heartbeat_at: str | None
    last_message_at: str | None


class BrowserBody(BaseModel):
    """The browser that the account presents to the site.

    ``source``: `pasted` with the cookie; `qr_login`, the server's own, with which the code was shown; or `unknown`:
    then the server's own stands in, and it may not be the browser of the cookie.
    """

    source: Literal["pasted", "qr_login", "unknown"]
    name: str
    user_agent: str


class AccountBody(BaseModel):
    """One account: desired and observed state."""

    model_config = example(
        id="my-shop", owner_id=1, unb="2200000000001", name="小鱼杂货铺", picture="", remark="",
        fingerprint="1f0e9a3c", enabled=True,
        browser={"source": "pasted", "name": "Chrome 151, Windows", "user_agent": "Mozilla/5.0 …"},
        cookie_expires_at="2026-02-01T00:00:00.000Z",
        state="running", reason="", since="2026-01-02T03:04:05.000Z", next_attempt_at=None, action_url="",
        action_text="",
        generation=7, observed_generation=7, rev=120, stale=False, created_at="2026-01-01T00:00:00.000Z",
        answers="messages", permission="own", node=None,
        desired={
            **{name: one.default for name, one in _ANSWERED.items()}, "enabled": True, "name": "小鱼杂货铺",
            "opening_hours": "1-5 09:00-18:00", "proxy": "http://***@proxy.example.com:8080",
            "keyword_count": 2, "item_count": 0, "delivery_count": 0,
        },
        observed={
            "detail": "", "crash_loop": False, "parked_reason": "", "parked_since": None,
            "connected_at": "2026-01-02T03:04:05.000Z", "last_heartbeat_at": "2026-01-02T03:10:05.000Z",
            "last_message_at": None,
        },
    )  # fmt: skip
    id: str
    owner_id: int
    unb: str
    name: str
    """The name that the owner gave the shop, else that of the seller on the site."""
    picture: str
    """The address of the seller's picture on this server; empty without one."""
    remark: str
    browser: BrowserBody
    fingerprint: str
    cookie_expires_at: str | None
    """An estimate from the cookie's own fields, if it has them."""
    enabled: bool
    state: AccountState
    reason: str
    since: str
    next_attempt_at: str | None
    action_url: str
    """The page where the owner must act: after a check, the message page of the site."""
    action_text: str
    """The address that the site gave with the check, as text: it belongs to one call and is soon worth nothing."""
    generation: int
    observed_generation: int
    rev: int
    stale: bool
    created_at: str
    answers: Answers
    """What the account can answer while it runs: buyers' messages, paid orders only, or nothing."""
    permission: PermissionWord
    """The reader's permission on the account."""
    node: str | None = None
    """Of several servers on one database: the name of the one that runs the account; empty while none does."""
    desired: DesiredBody
    observed: ObservedBody


class DetailRow(BaseModel):
    """One account in the list. ``value`` is always empty: answers never contain the cookie."""

    model_config = example(
        id="my-shop", value="", enabled=True, auto_confirm=False, remark="", pause_duration=10,
        state="running", reason="", generation=7, fingerprint="1f0e9a3c", permission="own", node=None,
    )  # fmt: skip
    id: str
    value: str = ""
    enabled: bool
    auto_confirm: bool
    remark: str
    pause_duration: int
    state: AccountState
    reason: str
    generation: int
    fingerprint: str
    permission: PermissionWord = Field(description="Your permission: `own`, or the permission that the owner gave you.")
    node: str | None = Field(None, description="Of several servers: the one that runs the account; empty: none does.")


def permission_word(permission: Permission | None) -> PermissionWord:
    """Return the name of a permission in answers."""
    return _PERMISSION_WORDS[permission or Permission.READ]


def action_of(seen: Observation) -> tuple[str, str]:
    """Return the page where the owner must act, and the address that the site gave: the latter is never a link."""
    return (MESSAGES_URL if seen.wants_check else "", seen.action_url)


def account_body(manager: CookieManager, account: Account, permission: Permission | None) -> AccountBody:
    """Return all that a reader with that permission may see of an account."""
    seen = manager.observation(account.id)
    link, text = action_of(seen)
    return AccountBody(
        id=account.id,
        owner_id=account.owner_id,
        unb=account.unb,
        name=account.name or seen.seller_name,
        picture=account.picture or seen.seller_picture,
        remark=account.remark,
        browser=_browser_body(manager, account),
        fingerprint=account.fingerprint,
        cookie_expires_at=maybe_rfc3339(account.login_ends_at_ms),
        enabled=account.enabled,
        state=seen.state,
        reason=seen.reason,
        since=rfc3339(max(seen.since_ms, account.created_at_ms)),  # of some that never started nothing is known
        next_attempt_at=maybe_rfc3339(seen.next_attempt_at_ms),
        action_url=link,
        action_text=text,
        generation=account.generation,
        observed_generation=seen.observed_generation,
        rev=account.rev,
        stale=manager.is_stale(account.id),
        created_at=rfc3339(account.created_at_ms),
        answers=account.answers,
        permission=permission_word(permission),
        node=manager.node_of(account.id),
        desired=desired_body(account),
        observed=_observed(seen),
    )


def detail_row(account: Account, seen: Observation, permission: Permission | None, node: str | None) -> DetailRow:
    """Return an account as a row of the list, for a reader with that permission. ``node``: which runs it, if known."""
    return DetailRow(
        id=account.id,
        enabled=account.enabled,
        auto_confirm=account.auto_confirm,
        remark=account.remark,
        pause_duration=account.pause_duration,
        state=seen.state,
        reason=seen.reason,
        generation=account.generation,
        fingerprint=account.fingerprint,
        permission=permission_word(permission),
        node=node,
    )


def _browser_body(manager: CookieManager, account: Account) -> BrowserBody:
    browser = browser_of(account.browser, manager.default_browser)
    source: Literal["pasted", "qr_login"] = "qr_login" if account.browser == OWN else "pasted"
    return BrowserBody(
        source=source if account.browser else "unknown", name=browser.name, user_agent=browser.user_agent
    )


def desired_body(account: Account) -> DesiredBody:
    """Return the desired state. Rules and items are only counted."""
    return DesiredBody(
        enabled=account.enabled,
        **{name: getattr(account, name) for name in _ANSWERED},
        proxy=shown_proxy(account.proxy),
        keyword_count=len(account.keywords),
        item_count=len(account.items),
        delivery_count=len(account.deliveries),
    )


def _observed(seen: Observation) -> ObservedBody:
    return ObservedBody(
        detail=seen.detail,
        crash_loop=seen.crash_loop,
        parked_reason=seen.parked_reason,
        parked_since=maybe_rfc3339(seen.parked_since_ms),
        connected_at=maybe_rfc3339(seen.connected_at_ms),
        last_heartbeat_at=maybe_rfc3339(seen.last_heartbeat_at_ms),
        last_message_at=maybe_rfc3339(seen.last_message_at_ms),
    )


class ItemShape(BaseModel):
    """The settings of one item."""

    item_id: str
    reply: str
    paid_message: str
    nothing_to_send: bool
    facts: str
    floor_fen: int | None


def item_shape(item: ItemSetting) -> ItemShape:
    """Return one item's settings as JSON."""
    return ItemShape(**asdict(item))


class HistoryRow(BaseModel):
    """One committed change: who changed what, when, and from where. A cookie appears as its fingerprint.

    ``origin`` is the kind of client (``console``, ``shell``, ``api``, ``token:ID``) and its address; it may be empty.
    ``undoable``: changes of this kind can be undone. A preview of the undo shows whether the values were changed again
    since.
    """

    rev: int
    generation: int
    changes: dict[str, Any]
    actor: str
    op_id: str
    at: str
    origin: str
    undoable: bool


def history_row(entry: JournalEntry, account: Account | None) -> HistoryRow:
    """Return a journal entry as JSON. ``account``: the account that has its id now, if any."""
    return HistoryRow(
        rev=entry.rev,
        generation=entry.generation,
        changes=entry.changes,
        actor=entry.actor,
        op_id=shown_op_id(entry.op_id),
        at=rfc3339(entry.at_ms),
        origin=entry.origin,
        undoable=can_undo(entry, account),
    )
