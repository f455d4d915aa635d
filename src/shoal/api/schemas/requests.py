"""Request bodies: strict types, with an example each. Values are not converted; unknown fields are refused."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, model_validator

from shoal.auth.api_tokens import DEFAULT_DAYS, LONGEST_DAYS
from shoal.messages.replies import LONGEST_HEARD
from shoal.rules.rule import MAX_REPLY_CHARACTERS

MAX_BATCH = 5_000


_UNSTORABLE = re.compile(r"[\x00\ud800-\udfff]")


def _storable(text: str) -> str:
    if _UNSTORABLE.search(text):
        raise ValueError("a text holds no NUL character and no half of a surrogate pair")
    return text


def _storable_secret(secret: SecretStr) -> SecretStr:
    _storable(secret.get_secret_value())
    return secret


Text = Annotated[str, AfterValidator(_storable)]
Secret = Annotated[SecretStr, AfterValidator(_storable_secret)]


def _example(**body: Any) -> ConfigDict:
    return ConfigDict(strict=True, extra="forbid", json_schema_extra={"examples": [body]}, hide_input_in_errors=True)


# ── users ───────────────────────────────────────────────────────────────────────────────────────────────────────────


class LoginBody(BaseModel):
    """User name or e-mail address, and password; with TOTP on also a code, as ``totp`` or ``verification_code``.

    A verification code without a password is accepted but never correct, because the server sends none.
    """

    model_config = _example(username="admin", password="correct horse battery")  # noqa: S106  an example
    username: Text | None = None
    email: Text | None = None
    password: Secret | None = None
    verification_code: Text | None = None
    totp: Text | None = None


class ConsoleLoginBody(BaseModel):
    """User name or e-mail address, and password; with TOTP on also a code of the app, or a recovery code."""

    model_config = _example(name="admin", password="correct horse battery")  # noqa: S106  an example
    name: Text = Field(min_length=1, max_length=300)
    password: Secret
    totp: Text | None = None


class ChangePasswordBody(BaseModel):
    """The current password and the new one."""

    model_config = _example(
        current_password="correct horse battery",  # noqa: S106  an example
        new_password="staple battery horse",  # noqa: S106  an example
    )
    current_password: Secret
    new_password: Secret


class RegisterBody(BaseModel):
    """A new user, in the form of other systems. A verification code is not needed, because the server sends none."""

    model_config = ConfigDict(
        extra="ignore",
        json_schema_extra={"examples": [{"username": "ann", "password": "correct horse battery"}]},
        hide_input_in_errors=True,
    )
    username: Text = ""
    email: Text | None = None
    password: Secret = SecretStr("")


RoleName = Literal["admin", "owner", "staff"]


class NewUserBody(BaseModel):
    """A new user with a first password. With an invitation, users choose their own."""

    model_config = _example(username="ann", password="correct horse battery", role="owner")  # noqa: S106  an example
    username: Text
    password: Secret
    role: RoleName = "owner"
    email: Text | None = None


class UserChangeBody(BaseModel):
    """The fields of a user to change; fields that are left out stay."""

    model_config = _example(role="staff", active=True)
    role: RoleName = "owner"
    active: bool = True
    email: Text | None = None


class NewTokenBody(BaseModel):
    """What an API token may do, on which accounts (left out: all accounts of its user), and for how long."""

    model_config = _example(name="nightly report", scope="read", accounts=["my-shop"], expires_days=90)
    name: Text = Field(min_length=1, max_length=100)
    scope: Literal["read", "reply", "operate", "manage"] = "read"
    accounts: Annotated[list[Text], Field(min_length=1, max_length=1000)] | None = None
    expires_days: int = Field(default=DEFAULT_DAYS, ge=1, le=LONGEST_DAYS)


class StaffBody(BaseModel):
    """The permission of another user on an account."""

    model_config = _example(permission="reply")
    permission: Literal["read", "reply", "operate"]


class InvitationBody(BaseModel):
    """The role of the invited user, and how long the link is valid."""

    model_config = _example(role="owner", email="ann@example.com", expires_hours=72)
    role: RoleName = "owner"
    email: Text | None = None
    expires_hours: float = Field(default=72, ge=0.1, le=720, allow_inf_nan=False, strict=False)


class PasswordLinkBody(BaseModel):
    """How long the link is valid."""

    model_config = _example(expires_hours=24)
    expires_hours: float = Field(default=24, ge=0.1, le=720, allow_inf_nan=False, strict=False)


class LinkBody(BaseModel):
    """The token of a link: the part after its ``#``."""

    model_config = _example(token="x3C9…")  # noqa: S106  an example
    token: Secret


class JoinBody(BaseModel):
    """The token of a link, and the name and password that its user chooses. A password link needs no name."""

    model_config = _example(token="x3C9…", username="ann", password="correct horse battery")  # noqa: S106  an example
    token: Secret
    username: Text = ""
    password: Secret
    email: Text | None = None


class PasswordBody(BaseModel):
    """The current password and the new one."""

    model_config = _example(
        current_password="correct horse battery",  # noqa: S106  an example
        new_password="staple battery horse",  # noqa: S106  an example
    )
    current_password: Secret
    new_password: Secret


class ProofBody(BaseModel):
    """The caller's own password."""

    model_config = _example(password="correct horse battery")  # noqa: S106  an example
    password: Secret


class CodeBody(BaseModel):
    """A code of the authenticator app."""

    model_config = _example(code="492039")
    code: Text


class ProofAndCodeBody(BaseModel):
    """The caller's own password, and a code of the authenticator app or a recovery code."""

    model_config = _example(password="correct horse battery", code="492039")  # noqa: S106  an example
    password: Secret
    code: Text


# ── accounts ────────────────────────────────────────────────────────────────────────────────────────────────────────

_COOKIE = "unb=2200000000001; cookie2=1f0e…; _m_h5_tk=…"


class CookieBody(BaseModel):
    """An account's id and its whole cookie, as the browser shows it."""

    model_config = _example(id="my-shop", value=_COOKIE)
    id: Text
    value: Text


class NewAccountBody(CookieBody):
    """An account's id and its whole cookie. With ``proxy``, the account's first call already uses it."""

    model_config = _example(id="my-shop", value=_COOKIE, proxy="socks5://user:password@proxy.example.com:1080")
    proxy: Secret | None = None


class CookieCheckBody(BaseModel):
    """A cookie in any of the known formats."""

    model_config = _example(value=_COOKIE)
    value: Text


class ProxyCheckBody(BaseModel):
    """A proxy in the form of an account's setting, or null to test without one.

    With ``account`` alone, the account's own proxy is tested.
    """

    model_config = _example(proxy="socks5://user:password@proxy.example.com:1080")
    proxy: Secret | None = None
    account: Text | None = None


class QrLoginBody(BaseModel):
    """The account to add or renew. Left out: the account of the seller who scans.

    ``proxy`` is used for the login and connection of an account that is added. An account that is renewed uses its own.
    """

    model_config = _example(account="my-shop")
    account: Text | None = None
    proxy: Secret | None = None


class StatusBody(BaseModel):
    """Whether the account is enabled."""

    model_config = _example(enabled=True)
    enabled: bool


class BatchStatusBody(BaseModel):
    """Whether each account is enabled, by id."""

    model_config = _example(updates={"my-shop": True, "other-shop": False})
    updates: dict[Text, bool] = Field(max_length=MAX_BATCH)


class AutoConfirmBody(BaseModel):
    """Whether paid orders are confirmed as shipped automatically."""

    model_config = _example(auto_confirm=False)
    auto_confirm: bool


class RemarkBody(BaseModel):
    """A note for the owner."""

    model_config = _example(remark="phone cases")
    remark: Text


class PauseBody(BaseModel):
    """How many minutes (0 to 60) automatic replies pause after the owner answered in a chat."""

    model_config = _example(pause_duration=10)
    pause_duration: int


class AccountInfoBody(BaseModel):
    """Any of these fields. Platform name, password and ``show_browser`` are for old scripts only and never stored."""

    model_config = _example(value=_COOKIE)
    value: Text | None = None
    username: Text | None = None
    password: Text | None = None
    show_browser: bool | None = None


class SettingsBody(BaseModel):
    """Settings of an account to change; those left out stay.

    ``null`` for a duration or a limit means the server's setting; a limit of 0 means no limit. ``free_shipping``:
    complete the orders of a group price (小刀) automatically.

    ``proxy`` is ``http://`` or ``socks5://``, with ``user:password@`` if needed; ``null`` means a direct connection.
    Answers never show its user name and password.

    ``name`` is the shop's name, at first that of the seller on the site; ``remark`` is a note.

    ``timezone`` is a name such as ``Europe/Paris``, for the hours of rules; empty means ``Asia/Shanghai``.
    """

    model_config = _example(debounce_seconds=1.5, default_reply_enabled=True, default_reply="在的，请说")
    name: Text = ""
    remark: Text = ""
    pause_duration: int = 10
    debounce_seconds: float | None = Field(None, allow_inf_nan=False)
    buyer_replies_per_hour: int | None = None
    shop_replies_per_minute: int | None = None
    paid_message: Text = ""
    free_shipping: bool = False
    default_reply_enabled: bool = False
    default_reply: Text = ""
    default_reply_once: bool = False
    timezone: Text = ""
    proxy: Secret | None = None


class ItemBody(BaseModel):
    """Settings of one item to change; those left out stay."""

    model_config = _example(reply="这款今天发货", paid_message="感谢购买！提取码在这里", nothing_to_send=False)
    reply: Text = ""
    paid_message: Text = ""
    nothing_to_send: bool = False


class DefaultReplyBody(BaseModel):
    """Whether the default reply is on, its text, and whether each chat gets it only once."""

    model_config = _example(enabled=True, reply_content="在的，请说", reply_once=False)
    enabled: bool
    reply_content: Text | None = None
    reply_once: bool = False


class ItemReplyBody(BaseModel):
    """The reply about one item when no rule matches."""

    model_config = _example(reply_content="这款今天发货")
    reply_content: Text


class ItemOfAccountBody(BaseModel):
    """One item of one account."""

    model_config = _example(cookie_id="my-shop", item_id="700000000001")
    cookie_id: Text
    item_id: Text


class ItemRepliesBody(BaseModel):
    """Items of accounts."""

    model_config = _example(items=[{"cookie_id": "my-shop", "item_id": "700000000001"}])
    items: list[ItemOfAccountBody] = Field(max_length=MAX_BATCH)


class TryBody(BaseModel):
    """A message to test, as if a buyer sent it. ``at`` (RFC 3339, default now) is the time for the hours of rules."""

    model_config = _example(message="包邮吗", item_id="700000000001", buyer_id="2200000000009", buyer_name="小鱼")
    message: Text = Field(max_length=LONGEST_HEARD)
    item_id: Text | None = Field(None, max_length=64)
    buyer_id: Text = Field("", max_length=64)
    buyer_name: Text = Field("", max_length=200)
    chat_id: Text = Field("", max_length=64)
    at: Text | None = Field(None, max_length=40)


class ReplyHookBody(BaseModel):
    """A message that a script received and wants reply texts for."""

    model_config = _example(
        cookie_id="my-shop", msg_time="2026-01-02 03:04:05", user_url="", send_user_id="2200000000009",
        send_user_name="小鱼", item_id="700000000001", send_message="包邮吗", chat_id="50000000001",
    )  # fmt: skip
    cookie_id: Text
    msg_time: Text
    user_url: Text
    send_user_id: Text
    send_user_name: Text
    item_id: Text
    send_message: Text
    chat_id: Text


# ── orders ──────────────────────────────────────────────────────────────────────────────────────────────────────────

AnyAction = Literal["free_shipping", "paid_message", "confirm"]


class ServeBody(BaseModel):
    """The order action to do; without one, all that failed or are uncertain."""

    model_config = _example(action="confirm")
    action: AnyAction | None = None


class SettleBody(BaseModel):
    """The result that the owner states: the action was ``done``, or is ``not_needed``."""

    model_config = _example(action="confirm", outcome="done")
    action: AnyAction
    outcome: Literal["done", "not_needed"]


# ── chats ───────────────────────────────────────────────────────────────────────────────────────────────────────────

LONGEST_PAUSE_MINUTES = 7 * 24 * 60
SiteId = Annotated[str, Field(pattern=r"^[0-9A-Za-z._-]{1,128}$")]


class TakeOverBody(BaseModel):
    """How many minutes automatic replies pause in the chat: at most a week."""

    model_config = _example(minutes=60)
    minutes: int = Field(60, ge=1, le=LONGEST_PAUSE_MINUTES)


class SendBody(BaseModel):
    """A text or a picture for a chat. ``to_user_id`` is the buyer's id; needed only in a chat without messages.

    ``image_url`` is a picture uploaded here, or a URL that the site knows.
    """

    model_config = _example(chat_id="59000001", text="您好，今天发货")
    chat_id: SiteId
    to_user_id: SiteId | None = None
    text: Annotated[Text, Field(max_length=MAX_REPLY_CHARACTERS)] = ""
    image_url: Annotated[Text, Field(max_length=2_000)] = ""
    take_over: bool = False

    @model_validator(mode="after")
    def _is_one_of_both(self) -> Self:
        if bool(self.text.strip()) == bool(self.image_url):
            raise ValueError("send either a text or a picture")
        return self


class OldSendBody(BaseModel):
    """The body of old scripts. ``api_key`` is a token of ``POST /login``, unless it is sent as a header."""

    model_config = ConfigDict(
        strict=True,
        extra="ignore",
        hide_input_in_errors=True,
        json_schema_extra={
            "examples": [
                {
                    "api_key": "…", "cookie_id": "my-shop", "chat_id": "59000001", "to_user_id": "2200000000099",
                    "message": "您好",
                }
            ]
        },
    )  # fmt: skip
    api_key: Text = ""
    cookie_id: Text = ""
    chat_id: Text = ""
    to_user_id: Text = ""
    message: Annotated[Text, Field(max_length=MAX_REPLY_CHARACTERS)] = ""


# ── keywords ────────────────────────────────────────────────────────────────────────────────────────────────────────


class KeywordsBody(BaseModel):
    """All general text rules: keyword and reply. An empty reply means: match, but send nothing."""

    model_config = _example(keywords={"在吗": "在的", "包邮吗": "全国包邮"})
    keywords: dict[Text, Text]


class KeywordRowBody(BaseModel):
    """One text rule. Rows that were read before may be sent back unchanged: unknown fields are ignored."""

    model_config = ConfigDict(strict=True, extra="ignore")
    keyword: Text
    reply: Text
    item_id: Text | None = None


class KeywordRowsBody(BaseModel):
    """All text rules, general (``item_id`` empty or null) and item-bound."""

    model_config = _example(keywords=[{"keyword": "尺寸", "reply": "长 20 厘米", "item_id": "700000000001"}])
    keywords: list[KeywordRowBody]
