"""Request bodies about accounts: cookies, switches, settings, items, keywords."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from shoal.accounts.setting_kinds import Way
from shoal.accounts.setting_models import takes
from shoal.accounts.shop_settings import declared_in
from shoal.api.schemas.request_texts import MAX_BATCH, Secret, Text, body_example

_COOKIE = "unb=2200000000001; cookie2=1f0e…; _m_h5_tk=…"


class CookieBody(BaseModel):
    """An account's id and its whole cookie, as the browser shows it."""

    model_config = body_example(id="my-shop", value=_COOKIE)
    id: Text
    value: Text


class NewAccountBody(CookieBody):
    """An account's id and its whole cookie. With ``proxy``, the account's first call already uses it."""

    model_config = body_example(id="my-shop", value=_COOKIE, proxy="socks5://user:password@proxy.example.com:1080")
    proxy: Secret | None = None


class CookieCheckBody(BaseModel):
    """A cookie in any of the known formats."""

    model_config = body_example(value=_COOKIE)
    value: Text


class ProxyCheckBody(BaseModel):
    """A proxy in the form of an account's setting, or null to test without one.

    With ``account`` alone, the account's own proxy is tested.
    """

    model_config = body_example(proxy="socks5://user:password@proxy.example.com:1080")
    proxy: Secret | None = None
    account: Text | None = None


class QrLoginBody(BaseModel):
    """The account to add or renew. Left out: the account of the seller who scans.

    ``proxy`` is used for the login and connection of an account that is added. An account that is renewed uses its own.
    ``keep_signed_in`` asks the site to keep the login for long (about 30 days), as its own page offers.
    """

    model_config = body_example(account="my-shop", keep_signed_in=True)
    account: Text | None = None
    proxy: Secret | None = None
    keep_signed_in: bool = False


class StatusBody(BaseModel):
    """Whether the account is enabled."""

    model_config = body_example(enabled=True)
    enabled: bool


class BatchStatusBody(BaseModel):
    """Whether each account is enabled, by id."""

    model_config = body_example(updates={"my-shop": True, "other-shop": False})
    updates: dict[Text, bool] = Field(max_length=MAX_BATCH)


class AutoConfirmBody(BaseModel):
    """Whether paid orders are confirmed as shipped automatically."""

    model_config = body_example(auto_confirm=False)
    auto_confirm: bool


class RemarkBody(BaseModel):
    """A note for the owner."""

    model_config = body_example(remark="phone cases")
    remark: Text


class PauseBody(BaseModel):
    """How many minutes (0 to 60) automatic replies pause after the owner answered in a chat."""

    model_config = body_example(pause_duration=10)
    pause_duration: int


class AccountInfoBody(BaseModel):
    """Any of these fields. Platform name, password and ``show_browser`` are for old scripts only and never stored."""

    model_config = body_example(value=_COOKIE)
    value: Text | None = None
    username: Text | None = None
    password: Text | None = None
    show_browser: bool | None = None


@takes(declared_in(Way.BATCH), Text)
class SharedSettingsBody(BaseModel):
    """Settings that many accounts may have alike. Those left out stay; ``PATCH /cookies/{cid}/settings`` says more."""

    model_config = body_example(default_reply_enabled=True, default_reply="在的，请说")


@takes(declared_in(Way.BODY), Text)
class SettingsBody(SharedSettingsBody):
    """Settings of an account to change; those left out stay.

    ``null`` for a duration or a limit means the server's setting; a limit of 0 means no limit.

    Three switches: ``replies`` (messages are answered automatically), ``delivery`` (something is sent, confirmed and
    completed for orders automatically) and ``auto_confirm`` (shipments are confirmed, while ``delivery`` is on too).

    ``proxy`` is ``http://`` or ``socks5://``, with ``user:password@`` if needed; ``null`` means a direct connection.
    Answers never show its user name and password.

    In a text that has one value on each line, opening hours may also be separated by semicolons. The output filter is
    for every text to a buyer but deliveries.
    """

    model_config = body_example(debounce_seconds=1.5, default_reply_enabled=True, default_reply="在的，请说")
    proxy: Secret | None = None


class CopyBody(BaseModel):
    """The account whose rules are copied. ``merge`` keeps the other rules, ``replace`` deletes them."""

    model_config = body_example(account="my-shop", mode="merge")
    account: Text
    mode: Literal["merge", "replace"] = "merge"


class BatchBody(BaseModel):
    """Accounts, and what is changed in each of them; at least one kind of change.

    ``settings``: those that are sent. ``add_tags``, ``remove_tags``: words of the remark that begin with ``#``, here
    without it. ``rules`` and ``deliveries``: copied from another account.
    """

    model_config = body_example(
        accounts=["my-shop", "other-shop"],
        settings={"default_reply_enabled": True, "default_reply": "在的，请说"},
        add_tags=["phones"],
        rules={"account": "my-shop", "mode": "merge"},
    )
    accounts: list[Text] = Field(min_length=1, max_length=MAX_BATCH)
    settings: SharedSettingsBody | None = None
    add_tags: list[Text] = Field(default=[], max_length=20)
    remove_tags: list[Text] = Field(default=[], max_length=20)
    rules: CopyBody | None = None
    deliveries: CopyBody | None = None


class UndoManyBody(BaseModel):
    """The ``rev`` of each change that is undone."""

    model_config = body_example(revs=[120, 121])
    revs: list[Annotated[int, Field(ge=1, le=2**63 - 1)]] = Field(min_length=1, max_length=MAX_BATCH)


class ItemBody(BaseModel):
    """Settings of one item to change; those left out stay.

    ``facts``: what a language model is told about it. ``floor_fen``: the lowest price that it may name; ``null``: the
    shop's.
    """

    model_config = body_example(
        reply="这款今天发货",
        paid_message="感谢购买！提取码在这里",
        nothing_to_send=False,
        facts="九成新，无划痕",
        floor_fen=9000,
    )
    reply: Text = ""
    paid_message: Text = ""
    nothing_to_send: bool = False
    facts: Text = ""
    floor_fen: int | None = None


class DefaultReplyBody(BaseModel):
    """Whether the default reply is on, its text, and whether each chat gets it only once."""

    model_config = body_example(enabled=True, reply_content="在的，请说", reply_once=False)
    enabled: bool
    reply_content: Text | None = None
    reply_once: bool = False


class ItemReplyBody(BaseModel):
    """The reply about one item when no rule matches."""

    model_config = body_example(reply_content="这款今天发货")
    reply_content: Text


class ItemOfAccountBody(BaseModel):
    """One item of one account."""

    model_config = body_example(cookie_id="my-shop", item_id="700000000001")
    cookie_id: Text
    item_id: Text


class ItemRepliesBody(BaseModel):
    """Items of accounts."""

    model_config = body_example(items=[{"cookie_id": "my-shop", "item_id": "700000000001"}])
    items: list[ItemOfAccountBody] = Field(max_length=MAX_BATCH)


class KeywordsBody(BaseModel):
    """All general text rules: keyword and reply. An empty reply means: match, but send nothing."""

    model_config = body_example(keywords={"在吗": "在的", "包邮吗": "全国包邮"})
    keywords: dict[Text, Text]


class KeywordRowBody(BaseModel):
    """One text rule. Rows that were read before may be sent back unchanged: unknown fields are ignored."""

    model_config = ConfigDict(strict=True, extra="ignore")
    keyword: Text
    reply: Text
    item_id: Text | None = None


class KeywordRowsBody(BaseModel):
    """All text rules, general (``item_id`` empty or null) and item-bound."""

    model_config = body_example(keywords=[{"keyword": "尺寸", "reply": "长 20 厘米", "item_id": "700000000001"}])
    keywords: list[KeywordRowBody]
