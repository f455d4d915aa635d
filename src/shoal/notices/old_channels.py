"""Channels as the system that sellers come from knows them: a type, and a configuration that is a text with JSON.

Its names are led to the fields of our services and back. A secret is shown as ``***``; sent back like that it stays.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from shoal.errors import InvalidInput
from shoal.notices.services import EMAIL, Fields, Service, service_of

HIDDEN: Final = "***"
_SERVICES: Final = {"ding_talk": "dingtalk", "wechat": "wecom"}
_TYPES: Final = {"wecom": "wechat"}
_BOT: Final = {"webhook_url": "token", "secret": "secret"}
_NAMES: Final[Mapping[str, Mapping[str, str]]] = {
    "dingtalk": _BOT,
    "feishu": _BOT,
    "lark": _BOT,
    "wecom": {"webhook_url": "key"},
    "bark": {"server_url": "server"},
    EMAIL: {
        "smtp_server": "host", "smtp_port": "port", "smtp_security": "security", "email_user": "user",
        "email_password": "password", "smtp_from": "sender", "recipient_email": "to",
    },
    "webhook": {"webhook_url": "url"},
    "qq": {"qq_number": "token"},
}  # fmt: skip
"""Of each service the older system's names of our fields; fields without one have our name."""
_PLAIN: Final = "config"
"""The key of a configuration that is no JSON but the one address of its channel."""
_QQ_NUMBER: Final = re.compile(r"[1-9][0-9]{4,11}")
_TLS_PORT: Final = "465"
_AUTHORIZATION: Final = "authorization"
_CREDENTIALS: Final = ("password", "token", "device_key", _AUTHORIZATION)
_HEADERS_OF_JSON: Final = frozenset({"content-type", "accept"})


def old_type(service: str) -> str:
    """Return the older system's name of a service; of one that it does not know our own."""
    return _TYPES.get(service, service)


def fields_of_old(kind: str, config: str) -> tuple[Service, dict[str, str]]:
    """Return the service and the fields of a new channel. Raises ``InvalidInput``."""
    given = _given(config)
    name = _SERVICES.get(kind, kind)
    if name in {"feishu", "lark"}:  # it does not tell them apart, and their addresses do
        name = "lark" if "larksuite.com" in config else "feishu" if "feishu.cn" in config else name
    service = service_of(name)
    return service, _fields(service, given, {})


def changed_fields(service: Service, config: str, kept: Fields) -> dict[str, str]:
    """Return the fields of a channel after a change; what is hidden stays. Raises ``InvalidInput``.

    A secret that stays goes to no other server: who may change a channel cannot read it.
    """
    if config.strip() == HIDDEN:
        return dict(kept)
    given = _given(config)
    fields, shown = _fields(service, given, kept), _fields(service, given, {})
    stays = next((name for name in _CREDENTIALS if name in fields and name not in shown), None)
    if stays is not None and _server_of(fields) != _server_of(kept):
        raise InvalidInput("for another server", code="channel_field_missing", service=service.name, field=stays)
    return fields


def shown_config(service: Service, fields: Fields) -> str:
    """Return the configuration of a channel without its secrets."""
    names = {ours: old for old, ours in _NAMES.get(service.name, {}).items()}
    shown = {
        names.get(field.name, field.name): HIDDEN if field.secret else fields[field.name]
        for field in service.fields
        if field.name in fields
    }
    if service.name == "webhook":
        authorization = shown.pop(_AUTHORIZATION, None)
        shown["http_method"] = "POST"
        shown["headers"] = json.dumps({} if authorization is None else {"Authorization": authorization})
    return json.dumps(shown, ensure_ascii=False)


def _server_of(fields: Fields) -> list[str]:
    try:
        addresses = [urlsplit(fields.get(name, "")) for name in ("server", "url")]
    except ValueError:
        raise InvalidInput("this is no address of a server", code="channel_address") from None
    mail = (fields.get(name, "") for name in ("host", "port", "security"))
    return [*(f"{one.scheme}://{one.netloc}" for one in addresses), *mail]


def _given(config: str) -> dict[str, str]:
    """Return the values of a configuration as texts; one that is no JSON object is the address itself."""
    try:
        found = json.loads(config)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        return {_PLAIN: config.strip()}
    return {str(name): _text(value) for name, value in found.items() if value is not None}


def _text(value: Any) -> str:
    return value.strip() if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _fields(service: Service, given: Mapping[str, str], kept: Fields) -> dict[str, str]:
    names = {ours: old for old, ours in _NAMES.get(service.name, {}).items()}
    alone = next(iter(_NAMES.get(service.name, {}).values()), service.fields[0].name)
    values = {}
    for field in service.fields:
        value = given.get(names.get(field.name, ""), given.get(field.name, ""))
        if not value and field.name == alone:
            value = given.get(_PLAIN, "")
        values[field.name] = kept.get(field.name, "") if value == HIDDEN else value
    if service.name == EMAIL:
        _complete_mail(values, given)
    if service.name == "webhook":
        values[_AUTHORIZATION] = _authorization(given, kept) or values[_AUTHORIZATION]
    if service.name == "qq" and _QQ_NUMBER.fullmatch(values["token"]):
        raise InvalidInput("a QQ number alone is no address", code="channel_of_qq_number")
    return {name: value for name, value in values.items() if value}


def _complete_mail(values: dict[str, str], given: Mapping[str, str]) -> None:
    """Add what the older system did by itself: the sender is the mailbox, and the port decides about TLS."""
    values["port"] = values["port"] or "587"
    if "@" not in values["sender"]:  # a name that was to be shown
        values["sender"] = values["user"]
    if not values["security"]:
        at_once = values["port"] == _TLS_PORT or given.get("smtp_use_ssl") == "true"
        values["security"] = "tls" if at_once else "starttls"


def _authorization(given: Mapping[str, str], kept: Fields) -> str:
    """Return the header of a webhook that we send. Raises ``InvalidInput`` for others, and for other methods."""
    if given.get("http_method", "POST").upper() != "POST":
        raise InvalidInput("a webhook is a POST", code="channel_config", field="http_method")
    try:
        headers = json.loads(given.get("headers") or "{}")
    except (ValueError, RecursionError):
        headers = None
    if not isinstance(headers, dict):
        raise InvalidInput("the headers are no JSON object", code="channel_config", field="headers")
    sent = {str(name).lower(): str(value) for name, value in headers.items()}
    if set(sent) - {_AUTHORIZATION} - _HEADERS_OF_JSON:
        raise InvalidInput("a header that is not sent", code="channel_config", field="headers")
    value = sent.get(_AUTHORIZATION, "")
    return kept.get(_AUTHORIZATION, "") if value == HIDDEN else value
