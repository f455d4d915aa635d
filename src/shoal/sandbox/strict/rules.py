"""The table of the strict rules: every name, its door, what it refuses and how."""
# ruff: noqa: E501 - a table

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule. A ``guess`` rests on an unknown number: it is off unless it is named."""

    door: str
    refuses: str
    answer: str
    guess: bool = False


_VALIDATE: Final = "`FAIL_SYS_USER_VALIDATE` at the token call, elsewhere recorded"
_REASON: Final = "`reason`"

# fmt: off
RULES: Final[dict[str, Rule]] = {
    "page_headers": Rule("http", "no `Origin` or `Referer` of the site", _VALIDATE),
    "browser_agent": Rule("http", "no `User-Agent`, or one that is no browser's", _VALIDATE),
    "stale_agent": Rule("http", "a Chrome older than the lever `oldest_chrome`", _VALIDATE),
    "client_hints": Rule("http", "a Chromium without one of its `sec-ch-ua` headers, or another with them", _VALIDATE),
    "hints_match": Rule("http", "a version or platform in `sec-ch-ua` that is not the `User-Agent`'s", _VALIDATE),
    "fetch_metadata": Rule("http", "no `sec-fetch-dest`, `-mode`, `-site`", "recorded"),
    "one_browser": Rule("all", "an identity other than the one of the login; a newer version is none", _VALIDATE),
    "time": Rule("mtop", "a `t` more than ten minutes off", "`FAIL_SYS_ILLEGAL_ACCESS`"),
    "api": Rule(
        "mtop",
        "a version that the api does not have; an api or version that differs in path and query",
        "`FAIL_SYS_API_NOT_FOUNDED`",
    ),
    "query_keys": Rule("mtop", "one of the eleven keys of the query missing", "`FAIL_SYS_ILLEGAL_ACCESS`"),
    "own_device": Rule("token", "a device id that does not end in `-<unb>`", "`FAIL_SYS_USER_VALIDATE`"),
    "few_devices": Rule(
        "token", "more device ids of one login than the lever `devices_of_login`", "`FAIL_SYS_USER_VALIDATE`"
    ),
    "proof": Rule(
        "mtop, upload, hasLogin",
        "any call after a risk fault played, until a cookie with a fresh `x5sec` comes from the browser that passed the check",
        "risk control",
    ),
    "ready_card": Rule("consign", "a bargain order before its ready card was pushed", "`BUYER_CONFIRM_INFO`"),
    "visit_before_code": Rule(
        "qr", "a QR login whose browser got no `cookie2` before", "recorded; the login is worth nothing"
    ),
    "silent_query": Rule(
        "silentHasLogin", "`documentReferer appName appEntrance fromSite` other than the page's", "no renewal"
    ),
    "picture_file": Rule("upload", "a file that is no picture", "`success: false`"),
    "handshake": Rule("socket", "no `Origin` of the site, no `User-Agent`", "closes the socket (1008)"),
    "early_heartbeat": Rule("socket", "a heartbeat before `/reg`", "closes the socket (1008)"),
    "thin_reg": Rule("/reg", "one of its nine headers missing", "401 with `reason`"),
    "reg_agent": Rule(
        "/reg",
        "a `ua` that does not begin with the token call's or lacks `DingTalk`, `OS`, `Browser`, `DingWeb`",
        "401 with `reason`",
    ),
    "receivers": Rule("send", "`actualReceivers` without us", _REASON),
    "message_types": Rule(
        "send", "another `conversationType`, `contentType`, or content than text and picture", _REASON
    ),
    "message_parts": Rule("send", "no `uuid`, `ctx` or `mtags`", _REASON),
    "picture_host": Rule("send", "a picture's address that is not of the site's host", _REASON),
    "token_pace": Rule(
        "token", "more calls than the levers `tokens_a_minute` and `tokens_an_hour`", "risk control", guess=True
    ),
    "send_pace": Rule(
        "send", "more messages in 10 s than ten times the lever `messages_a_second`", "`CSI_FORBID`", guess=True
    ),
    "text_length": Rule("send", "a text longer than the lever `most_characters`", "`CSI_FORBID`", guess=True),
}

# fmt: on
STRICT: Final = frozenset(name for name, rule in RULES.items() if not rule.guess)
"""the rules that ``--strict`` puts in force"""
