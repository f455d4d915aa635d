"""The table of the strict rules: every name, its door, what it refuses and how."""
# ruff: noqa: E501 - a table

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Witness(StrEnum):
    """Who shows that a page of the site keeps a rule."""

    CAPTURED = "captured"
    """A frame, an answer or a page that somebody took from the site."""
    TWO_CLIENTS = "two clients"
    """At least two clients that work on the site keep it, or say what they met without it."""
    GUESS = "guess"
    """At most one says so. No client that is known to work breaks it, or it is one of ``MANNERS``."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule. ``seen``: where; clients by their repositories."""

    door: str
    refuses: str
    answer: str
    witness: Witness
    seen: str = ""


_VALIDATE: Final = "`FAIL_SYS_USER_VALIDATE` at the token call, elsewhere recorded"
_REASON: Final = "`reason`"
_CAPTURED, _TWO, _GUESS = Witness
_BOTH: Final = "XianyuAutoAgent, XianYuApis"

# fmt: off
RULES: Final[dict[str, Rule]] = {
    "page_headers": Rule("http", "no `Origin` or `Referer` of the site", _VALIDATE, _TWO, "xianyu-pilot (refused without), XianyuAutoAgent"),
    "browser_agent": Rule("http", "no `User-Agent`, or one that is no browser's", _VALIDATE, _TWO, _BOTH),
    "stale_agent": Rule("http", "a Chrome older than the lever `oldest_chrome`", _VALIDATE, _TWO, "XianyuAutoAgent (issues 59 to 82), xianyu-auto-reply (247)"),
    "client_hints": Rule("http", "a Chromium without one of its `sec-ch-ua` headers, or another with them", _VALIDATE, _TWO, "XianyuAutoAgent (e4e75b2), xianyu-auto-reply"),
    "hints_match": Rule("http", "a version or platform in `sec-ch-ua` that is not the `User-Agent`'s", _VALIDATE, _GUESS),
    "fetch_metadata": Rule("http", "no `sec-fetch-dest`, `-mode`, `-site`", "recorded", _TWO, _BOTH),
    "one_browser": Rule("all", "an identity other than the one of the login; a newer version is none", _VALIDATE, _GUESS),
    "time": Rule("mtop", "a `t` more than ten minutes off", "`FAIL_SYS_ILLEGAL_ACCESS`", _GUESS),
    "api": Rule(
        "mtop", "a version that the api does not have; an api or version that differs in path and query", "`FAIL_SYS_API_NOT_FOUNDED`",
        _TWO, "xianyu-pilot, goofish-client (the code)",
    ),
    "query_keys": Rule("mtop", "one of the eleven keys of the query missing in a signed call", "`FAIL_SYS_ILLEGAL_ACCESS`", _TWO, _BOTH),
    "own_device": Rule("token", "a device id that does not end in `-<unb>`", "`FAIL_SYS_USER_VALIDATE`", _TWO, _BOTH),
    "few_devices": Rule("token", "more device ids of one login than the lever `devices_of_login`", "`FAIL_SYS_USER_VALIDATE`", _GUESS),
    "proof": Rule(
        "mtop, upload, hasLogin",
        "any call after a risk fault played, until a cookie with a fresh `x5sec` comes from the browser that passed the check",
        "risk control", _TWO, "xianyu-super-butler (62), xianyu-auto-reply (31, 48)",
    ),
    "ready_card": Rule("consign", "a bargain order before its ready card was pushed", "`BUYER_CONFIRM_INFO`", _CAPTURED, "Ydisks-Xianyu-Helper (49)"),
    "visit_before_code": Rule(
        "qr", "a QR login whose browser got no `cookie2` before", "recorded; the login is worth nothing", _TWO, "XianYuApis, Ydisks-Xianyu-Helper"
    ),
    "silent_query": Rule(
        "silentHasLogin", "`documentReferer appName appEntrance fromSite` other than the page's", "no renewal",
        _TWO, "Ydisks-Xianyu-Helper, xianyu-ai-manager",
    ),
    "picture_file": Rule("upload", "a file that is no picture", "`success: false`", _GUESS),
    "handshake": Rule("socket", "no `Origin` of the site, no `User-Agent`", "closes the socket (1008)", _TWO, "Ydisks-Xianyu-Helper (these two alone), XianYuApis"),
    "early_heartbeat": Rule("socket", "a heartbeat before `/reg`", "closes the socket (1008)", _GUESS),
    "thin_reg": Rule("/reg", "one of its nine headers missing", "401 with `reason`", _TWO, _BOTH),
    "reg_agent": Rule(
        "/reg", "a `ua` that does not begin with the token call's or lacks `DingTalk`, `OS`, `Browser`, `DingWeb`", "401 with `reason`", _GUESS
    ),
    "receivers": Rule("send", "`actualReceivers` without us", _REASON, _TWO, _BOTH),
    "message_types": Rule(
        "send", "another `conversationType`, `contentType`, or content than text and picture", _REASON, _TWO, _BOTH
    ),
    "message_parts": Rule("send", "no `uuid`, `ctx` or `mtags`", _REASON, _TWO, _BOTH),
    "picture_host": Rule("send", "a picture's address that is not of the site's host", _REASON, _CAPTURED, "goofish-postman (pictures of chats)"),
    "token_pace": Rule("token", "more calls than the levers `tokens_a_minute` and `tokens_an_hour`", "risk control", _GUESS),
    "send_pace": Rule("send", "more messages in 10 s than ten times the lever `messages_a_second`", "`CSI_FORBID`", _GUESS),
    "text_length": Rule("send", "a text longer than the lever `most_characters`", "`CSI_FORBID`", _GUESS),
}

# fmt: on
MANNERS: Final = frozenset({"one_browser", "few_devices", "reg_agent", "token_pace", "send_pace", "text_length"})
"""What a careful client keeps, and the site does not ask for as far as is known: clients that break the first three
work, and the others rest on unknown numbers. They are off unless they are named."""
STRICT: Final = frozenset(RULES) - MANNERS
"""the rules that ``--strict`` puts in force"""
