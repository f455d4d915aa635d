"""The services that a channel may use: which fields each asks for, and the address that they make.

An address is what the class of Apprise for that service is made from, or a body to post where Apprise has no such form.
E-mail has its own sender and uses the fields.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Callable, Mapping
from typing import Any, Final
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

import msgspec

from shoal.clock import now_ms
from shoal.errors import InvalidInput
from shoal.notices.apprise_wire import POST
from shoal.notices.push_subscription import check_subscription
from shoal.notices.service_answers import LONGEST_WAIT, Answers
from shoal.notices.transport import Level, Message

EMAIL: Final = "email"
WEBPUSH: Final = "webpush"
OURS: Final = frozenset({EMAIL, WEBPUSH})
"""The services that are not sent by Apprise."""
MOST_CHARACTERS: Final = 1_000
"""How long a field may be."""
_WORD: Final = r"[A-Za-z0-9_-]{1,200}"
_SPT: Final = "SPT_"
_NAME: Final = r"(?=.{1,253}$)[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63})*"
_MAIL: Final = rf"(?:(?![@<>,;:\"\\()\[\]])[!-~]){{1,64}}@(?:{_NAME})"
_HOST: Final = rf"{_NAME}|[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*"
_PORT: Final = r"[1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5]"
_SERVER: Final = r"https?://[^\s@?#]+"

Fields = Mapping[str, str]
Address = dict[str, Any]


class Field(msgspec.Struct, frozen=True, kw_only=True):
    """One field of a service. ``pattern`` holds for the whole value.

    ``pasted`` finds the value in the address that the service's own page shows, which people paste as it is.
    """

    name: str
    pattern: str = _WORD
    pasted: str = ""
    optional: bool = False
    secret: bool = True
    default: str = ""
    choices: tuple[str, ...] = ()

    def value(self, given: str, service: str) -> str:
        """Return the value to keep. Raises ``InvalidInput`` that names the field."""
        text = given.strip()
        found = re.search(self.pasted, text) if self.pasted else None
        text = found[1] if found else text or self.default
        if not text and self.optional:
            return ""
        fits = text in self.choices if self.choices else re.fullmatch(self.pattern, text) is not None
        if not fits or len(text) > MOST_CHARACTERS:
            code = "channel_field" if text else "channel_field_missing"
            raise InvalidInput(f"{service}: {self.name} is wrong", code=code, service=service, field=self.name)
        return text


class Service(msgspec.Struct, frozen=True, kw_only=True):
    """A service: its fields, the address of Apprise for a message, and how it answers.

    ``most_title`` (characters) and ``most_body`` (bytes in UTF-8) are what it takes; more is cut off.
    """

    name: str
    fields: tuple[Field, ...]
    address: Callable[[Fields, Message], Address]
    most_title: int = 100
    most_body: int = 15_000
    answers: Answers = Answers()
    link_aside: bool = False
    """Its messages lead somewhere when they are touched; for others the link stands in the text."""
    check: Callable[[Fields], None] | None = None
    """Raises ``InvalidInput`` for fields that do not go together."""

    def checked(self, given: Fields) -> dict[str, str]:
        """Return the fields to keep. Raises ``InvalidInput`` for one that is missing, wrong or unknown."""
        unknown = set(given) - {field.name for field in self.fields}
        if unknown:
            known = tuple(field.name for field in self.fields)
            facts = {"service": self.name, "field": min(unknown), "known": known}
            raise InvalidInput(f"{self.name} has no such field", code="channel_field_unknown", **facts)
        kept = {field.name: field.value(given.get(field.name, ""), self.name) for field in self.fields}
        if self.check is not None:
            self.check(kept)
        fields = {name: value for name, value in kept.items() if value}
        if self.name not in OURS:
            self.address(fields, Message(title="", body=""))  # an address that is none is refused now, not at night
        return fields


def cut(text: str, most_bytes: int) -> str:
    """Return as much of the text as has so many bytes in UTF-8, and a sign where some was cut off."""
    raw = text.encode()
    return text if len(raw) <= most_bytes else f"{raw[: most_bytes - 3].decode('utf-8', 'ignore')}…"


def service_of(name: str) -> Service:
    """Return the service of that name. Raises ``InvalidInput`` for one that is not on the list."""
    if name not in SERVICES:
        raise InvalidInput("there is no such service", code="unknown_service", service=name[:40], known=tuple(SERVICES))
    return SERVICES[name]


def _by_words(schema: str, **names: str) -> Callable[[Fields, Message], Address]:
    """Return a function that makes an address whose parts are fields: ``token="token"``."""

    def address(fields: Fields, _: Message) -> Address:
        return {"schema": schema, **{part: fields[name] for part, name in names.items() if name in fields}}

    return address


def _server(url: str, schema: str) -> Address:
    """Return the parts of a server's address as Apprise takes them. Raises ``InvalidInput`` for none."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
    if not host or parts.scheme not in {"http", "https"} or parts.username is not None:
        raise InvalidInput("this is no address of a server", code="channel_address")
    secure = parts.scheme == "https"
    return {
        "schema": f"{schema}s" if secure else schema,
        "secure": secure,
        "host": f"[{host}]" if ":" in host else host,
        "port": port,
        "fullpath": parts.path or "/",
    }


def _bark(fields: Fields, message: Message) -> Address:
    level = "timeSensitive" if message.level is Level.URGENT else "active"
    more: Address = {"targets": [fields["device_key"]], "level": level, "group": "Shoal", "include_image": False}
    if message.url:
        more["click"] = message.url
    if message.dedupe_id:  # a notice that is sent again takes the place of the first
        more["notification_id"] = message.dedupe_id
    return {**_server(fields["server"], "bark"), **more}


def _wxpusher(fields: Fields, message: Message) -> Address:
    token = fields["app_token"]
    if token.startswith(_SPT):  # a token that leads to its one reader
        body = {"content": f"{message.title}\n{message.body}", "summary": message.title, "contentType": 1}
        return _posted("https://wxpusher.zjiecode.com/api/send/message/simple-push", {**body, "spt": token})
    return {"schema": "wxpusher", "token": token, "targets": [fields["target"]]}


def _check_wxpusher(fields: Fields) -> None:
    if not fields["app_token"].startswith(_SPT) and not fields["target"]:
        code = "channel_field_missing"
        raise InvalidInput("an app needs to know whom to tell", code=code, service="wxpusher", field="target")


def _check_mail(fields: Fields) -> None:
    if fields["security"] == "none" and fields["password"]:
        raise InvalidInput("a password needs TLS", code="channel_password_in_clear")


def _posted(url: str, body: Mapping[str, Any]) -> Address:
    return {"schema": POST, "url": url, "body": body}


def _dingtalk(fields: Fields, message: Message) -> Address:
    query = {"access_token": fields["token"]}
    if secret := fields.get("secret"):
        moment = str(now_ms())  # a signature is refused after an hour
        query |= {"timestamp": moment, "sign": _signature(secret, f"{moment}\n{secret}")}
    body = {"msgtype": "text", "text": {"content": f"{message.title}\n{message.body}"}}
    return _posted(f"https://oapi.dingtalk.com/robot/send?{urlencode(query)}", body)


def _feishu(host: str) -> Callable[[Fields, Message], Address]:
    """Return a function that makes the address of a bot in Feishu or Lark."""

    def address(fields: Fields, message: Message) -> Address:
        body: Address = {"msg_type": "text", "content": {"text": f"{message.title}\n{message.body}"}}
        if secret := fields.get("secret"):
            moment = str(now_ms() // 1000)
            body |= {"timestamp": moment, "sign": _signature(f"{moment}\n{secret}", "")}
        return _posted(f"https://{host}/open-apis/bot/v2/hook/{fields['token']}", body)

    return address


def _signature(key: str, text: str) -> str:
    return base64.b64encode(hmac.new(key.encode(), text.encode(), hashlib.sha256).digest()).decode()


def _serverchan(fields: Fields, message: Message) -> Address:
    key = fields["token"]
    found = re.match(r"sctp([0-9]+)t", key)  # a key of the newer ServerChan, whose hosts have the user's number
    if found is None:
        return {"schema": "schan", "token": key}
    body = {"title": message.title, "desp": message.body}
    return _posted(f"https://{found[1]}.push.ft07.com/send/{key}.send", body)


def _telegram(fields: Fields, _: Message) -> Address:
    more = {"detect_owner": False, "include_image": False, "preview": False}
    return {"schema": "tgram", "bot_token": fields["bot_token"], "targets": [fields["chat_id"]], **more}


def _pushplus(fields: Fields, _: Message) -> Address:
    return {"schema": "pushplus", "token": fields["token"], "targets": [fields["topic"]] if "topic" in fields else []}


def _ntfy(fields: Fields, message: Message) -> Address:
    priority = {Level.INFO: "default", Level.WARNING: "high", Level.URGENT: "max"}[message.level]
    more: Address = {"targets": [fields["topic"]], "mode": "private", "include_image": False, "priority": priority}
    if message.url:
        more["click"] = message.url
    if "token" in fields:
        more |= {"auth": "token", "token": fields["token"]}
    elif "user" in fields:
        more |= {"auth": "basic", "user": quote(fields["user"]), "password": quote(fields.get("password", ""))}
    return {**_server(fields["server"], "ntfy"), **more}


def _gotify(fields: Fields, message: Message) -> Address:
    server = _server(fields["server"], "gotify")
    path = f"{server['fullpath'].rstrip('/')}/"
    priority = {Level.INFO: "low", Level.WARNING: "normal", Level.URGENT: "emergency"}[message.level]
    return {**server, "fullpath": path, "token": fields["token"], "priority": priority}


def _webhook(fields: Fields, message: Message) -> Address:
    headers = {"Idempotency-Key": message.dedupe_id} if message.dedupe_id else {}
    if "authorization" in fields:
        headers["Authorization"] = fields["authorization"]
    server = _server(fields["url"], "json")
    query = dict(parse_qsl(urlsplit(fields["url"]).query, keep_blank_values=True))
    return {**server, "headers": headers, "params": query}


def _no_address(_: Fields, __: Message) -> Address:
    raise NotImplementedError("this service is not sent by Apprise")


_SECRET: Final = Field(name="secret", pattern=r"[A-Za-z0-9]{1,200}", optional=True)
"""What a bot signs its messages with, when its page asks for signatures."""
_FEISHU: Final = Answers(good={"code": (0,), "StatusCode": (0,)}, limited=("code", {11232: 60.0}))
_ALL: Final = (
    Service(
        name="dingtalk",
        fields=(Field(name="token", pattern=r"[A-Za-z0-9]{1,200}", pasted=r"access_token=([A-Za-z0-9]+)"), _SECRET),
        address=_dingtalk,
        answers=Answers(good={"errcode": (0,)}, limited=("errcode", {130101: 600.0})),
    ),
    Service(
        name="feishu",
        fields=(Field(name="token", pasted=r"/hook/([\w-]+)"), _SECRET),
        address=_feishu("open.feishu.cn"),
        answers=_FEISHU,
    ),
    Service(
        name="lark",
        fields=(Field(name="token", pattern=r"[A-Za-z0-9-]{1,200}", pasted=r"/hook/([\w-]+)"), _SECRET),
        address=_feishu("open.larksuite.com"),
        answers=_FEISHU,
    ),
    Service(
        name="wecom",
        fields=(Field(name="key", pasted=r"[?&]key=([\w-]+)"),),
        address=_by_words("wecombot", key="key"),
        answers=Answers(good={"errcode": (0,)}, limited=("errcode", {45009: 60.0})),
        most_body=2_000,
    ),
    Service(
        name="bark",
        fields=(
            Field(name="server", pattern=_SERVER, secret=False, default="https://api.day.app"),
            Field(name="device_key", pattern=r"[A-Za-z0-9]{1,200}", pasted=r"://[^/]+/([A-Za-z0-9]+)"),
        ),
        address=_bark,
        answers=Answers(good={"code": (200,)}),
        link_aside=True,
        most_body=2_500,
    ),
    Service(
        name="pushplus",
        fields=(Field(name="token", pattern=r"[A-Za-z0-9_-]{32,64}"), Field(name="topic", optional=True, secret=False)),
        address=_pushplus,
        # PushPlus locks a token for longer when it is asked on.
        answers=Answers(good={"code": (200,)}, limited=("code", {900: LONGEST_WAIT})),
    ),
    Service(
        name="serverchan",
        fields=(
            Field(
                name="token",
                pattern=r"SCT[A-Za-z0-9]{1,200}|sctp[0-9]{1,12}t[A-Za-z0-9]{1,200}",
                pasted=r"/(SCT\w+|sctp\w+)\.send",
            ),
        ),
        address=_serverchan,
        answers=Answers(good={"code": (0,), "errno": (0,)}, inside={"errno": (0,)}),
        most_title=32,
    ),
    Service(
        name="wxpusher",
        fields=(
            Field(name="app_token", pattern=r"(AT|SPT)_[A-Za-z0-9_-]{1,200}", pasted=r"/(SPT_\w+)"),
            Field(name="target", pattern=r"UID_[A-Za-z0-9_-]{1,200}|[0-9]{1,20}", optional=True),
        ),
        address=_wxpusher,
        answers=Answers(good={"code": (1000,)}, inside={"code": (1000,)}),
        check=_check_wxpusher,
    ),
    Service(
        name="telegram",
        fields=(
            Field(name="bot_token", pattern=r"[0-9]{1,20}:[A-Za-z0-9_-]{1,200}"),
            Field(name="chat_id", pattern=r"-?[0-9]{1,32}|@?[A-Za-z_][A-Za-z0-9_]{1,64}"),
        ),
        address=_telegram,
        answers=Answers(good={"ok": (True,)}),
        most_body=4_000,
    ),
    Service(
        name="qq",
        fields=(Field(name="token", pattern=r"[A-Za-z0-9]{24,64}", pasted=r"/send/([A-Za-z0-9]+)"),),
        address=_by_words("qq", token="token"),  # noqa: S106
        answers=Answers(good={"code": (0,), "success": (True,)}),
        most_body=2_000,
    ),
    Service(
        name="ntfy",
        fields=(
            Field(name="server", pattern=r"https?://[^\s@?#/]+/?", secret=False, default="https://ntfy.sh"),
            Field(name="topic", pattern=r"[A-Za-z0-9_-]{1,64}"),
            Field(name="token", pattern=r"[!-~]{1,200}", optional=True),
            Field(name="user", pattern=r"[^\s:]{1,200}", optional=True),
            Field(name="password", pattern=r"[^\r\n\0]{1,200}", optional=True),
        ),
        address=_ntfy,
        answers=Answers(named="id"),
        link_aside=True,
        most_body=3_500,
    ),
    Service(
        name="gotify",
        fields=(Field(name="server", pattern=_SERVER, secret=False), Field(name="token", pattern=r"[!-~]{1,200}")),
        address=_gotify,
        answers=Answers(named="id"),
    ),
    Service(
        name=EMAIL,
        fields=(
            Field(name="host", pattern=_HOST, secret=False),
            Field(name="port", pattern=_PORT, secret=False, default="465"),
            Field(name="security", choices=("tls", "starttls", "none"), secret=False, default="tls"),
            Field(name="user", pattern=r"[^\s]{1,200}", optional=True),
            Field(name="password", pattern=r"[^\r\n\0]{1,200}", optional=True),
            Field(name="sender", pattern=_MAIL),
            Field(name="to", pattern=_MAIL),
        ),
        address=_no_address,
        check=_check_mail,
    ),
    Service(
        name=WEBPUSH,
        fields=(
            Field(name="endpoint", pattern=r"https://[!-~]+"),
            Field(name="p256dh", pattern=r"[A-Za-z0-9_-]{86,88}=?"),
            Field(name="auth", pattern=r"[A-Za-z0-9_-]{20,24}={0,2}"),
            Field(name="site", pattern=r"https?://[^\s@?#/]+", secret=False),
        ),
        address=_no_address,
        check=check_subscription,
        link_aside=True,
        most_body=1_500,
    ),
    Service(
        name="webhook",
        fields=(
            Field(name="url", pattern=r"https?://[^\s@#]+"),
            Field(name="authorization", pattern=r"[!-~][ -~]{0,500}", optional=True),
        ),
        address=_webhook,
    ),
)

SERVICES: Final = {service.name: service for service in _ALL}
"""The services of the list; no other is used, whatever Apprise offers."""
