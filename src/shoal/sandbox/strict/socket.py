"""The strict rules of the message socket: handshake, heartbeat, /reg, and what is sent."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from shoal.sandbox import codec
from shoal.sandbox.site import Site
from shoal.sandbox.strict.browser import Browser, browser_of, oddities
from shoal.sandbox.strict.http import compare, is_of_the_site
from shoal.sandbox.things import ImToken

Frame = dict[str, Any]
REG_HEADERS: Final = ("cache-header", "app-key", "token", "ua", "dt", "wv", "sync", "did", "mid")
_REG_AGENT: Final = re.compile(
    r"^(?P<agent>.+) DingTalk\([\d.]+\) OS\([^/]+/[^)]+\) Browser\((?P<name>\w+)/(?P<version>\d+)[\d.]*\) "
    r"DingWeb/[\d.]+ IMPaaS DingWeb/[\d.]+$"
)
_PICTURE_HOSTS: Final = ("alicdn.com", "goofish.com")
PACE_SECONDS: Final = 10


def refuse_handshake(site: Site, headers: Mapping[str, str], account: str, cookies: Mapping[str, str]) -> bool:
    """Return whether the socket must be closed at once."""
    browser = browser_of(headers)
    agent_odd = next((why for rule, why in oddities(browser, 0) if rule == "browser_agent"), "")
    origin = headers.get("origin", "")
    why = agent_odd or ("" if is_of_the_site(origin) else f"Origin {origin!r}")
    if why and site.strict.has("handshake"):
        site.strict.add("handshake", "socket", account, why, refused=True)
        return True
    session = site.world.session_of(cookies)
    if session and session.browser and site.strict.has("one_browser"):
        known = session.browser
        seen = Browser(browser.agent, known.brands, known.mobile, known.platform, browser.language or known.language)
        if browser.version > known.version:
            seen = known  # the handshake has no client hints: the next call names a newer version
        if different := compare(session, seen):
            site.strict.add("one_browser", "socket", account, different, refused=False)
    return False


def refuse_reg(site: Site, headers: Frame, account: str, token: ImToken | None) -> str:
    """Return the reason to refuse a ``/reg``, or an empty string."""
    missing = [name for name in REG_HEADERS if not headers.get(name)]
    if missing and site.strict.has("thin_reg"):
        site.strict.add("thin_reg", "/reg", account, f"{' '.join(missing)} missing", refused=True)
        return f"param {missing[0]} is missing"
    if token is None or not site.strict.has("reg_agent"):
        return ""
    ua = str(headers.get("ua", ""))
    found = _REG_AGENT.match(ua)
    if found and (not token.agent or found["agent"] == token.agent) and f"/{found['version']}." in found["agent"]:
        return ""
    site.strict.add("reg_agent", "/reg", account, f"ua {ua[:200]!r}", refused=True)
    return "ua is not equal"


def refuse_message(site: Site, account: str, order: Frame, receivers: list[str], text: str, content: str) -> Frame:
    """Return the body that refuses a message, or an empty one."""
    if not site.world.policy.rules:
        return {}
    message = _Outgoing(site, account, order, receivers, text, json.loads(content))
    for rule, reason, find in _RULES:
        if site.strict.has(rule) and (why := find(message)):
            site.strict.add(rule, "send", account, why, refused=True)
            return {"reason": reason, "code": "400", "developerMessage": why, "scope": "im", "moreInfo": reason}
    return {}


class _Outgoing:
    """A message that the client sends."""

    def __init__(self, site: Site, account: str, order: Frame, receivers: list[str], text: str, content: Frame) -> None:
        self.site, self.account, self.order, self.receivers = site, account, order, receivers
        self.text, self.content = text, content


def _receivers(message: _Outgoing) -> str:
    return "" if codec.address(message.account) in message.receivers else "our own address is missing"


def _types(message: _Outgoing) -> str:
    order, content = message.order, message.order["content"]
    found = (order.get("conversationType"), content.get("contentType"), message.content.get("contentType"))
    if found[:2] == (1, 101) and found[2] in (codec.TEXT, codec.IMAGE):
        return ""
    return f"conversationType, contentType and type of the content are {found}"


def _parts(message: _Outgoing) -> str:
    order = message.order
    missing = [name for name in ("uuid", "ctx") if not order.get(name)]
    missing += [] if isinstance(order.get("mtags"), dict) else ["mtags"]
    return f"{' '.join(missing)} missing" if missing else ""


def _picture(message: _Outgoing) -> str:
    for address in _addresses(message.content):
        parts = urlsplit(address)
        host = parts.hostname or ""
        of_the_site = any(host == known or host.endswith(f".{known}") for known in _PICTURE_HOSTS)
        name = parts.path.removeprefix("/_sandbox/images/")
        if not of_the_site and name not in message.site.images:
            return f"a picture of {host}"
    return ""


def _addresses(content: Frame) -> Iterator[str]:
    if content.get("contentType") == codec.IMAGE:
        yield from (str(picture.get("url", "")) for picture in content["image"]["pics"])


def _pace(message: _Outgoing) -> str:
    site, now = message.site, message.site.clock.now_ms()
    times = site.feed(message.account).sent_times
    times[:] = [at for at in times if at > now - PACE_SECONDS * 1000]
    times.append(now)
    most = site.world.policy.messages_a_second * PACE_SECONDS
    return f"{len(times)} messages in {PACE_SECONDS} s" if len(times) > most else ""


def _length(message: _Outgoing) -> str:
    most = message.site.world.policy.most_characters
    return f"{len(message.text)} characters" if len(message.text) > most else ""


_FORBID: Final = "CSI_FORBID||安全拦截"
_RULES: Final[tuple[tuple[str, str, Callable[[_Outgoing], str]], ...]] = (
    ("receivers", "receivers do not belong to the conversation", _receivers),
    ("message_types", "unsupported type", _types),
    ("message_parts", "param is missing", _parts),
    ("picture_host", _FORBID, _picture),
    ("send_pace", _FORBID, _pace),
    ("text_length", _FORBID, _length),
)
