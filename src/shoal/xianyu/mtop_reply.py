"""What the site's answer to a signed call means (docs/protocol.md §2.3)."""

from __future__ import annotations

import enum
import html
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from shoal.errors import ActionRequired, ComeBackLater, TemporaryFailure
from shoal.xianyu.wire_bytes import UndecodableFrame, parse_json_object


class Meaning(enum.Enum):
    """Every meaning of an answer, in the order in which they are checked."""

    RISK = "the site asks for a check by a person"
    SESSION = "the login is gone"
    TOKEN = "the signing token is stale; its successor came with the answer"  # noqa: S105 - a sentence
    BUSY = "the site has no room at the moment and did nothing"
    FAULT = "something inside the site broke; it may have done what was asked"
    GONE = "the site no longer offers this call"
    REFUSED = "the site refuses this call for a reason of its own"
    OK = "done"
    UNREADABLE = "the answer has no verdict"


@dataclass(frozen=True, slots=True)
class Verdict:
    """The meaning of an answer. ``code`` and ``text`` come from the entry that decided; ``url`` is where to act."""

    meaning: Meaning
    code: str = ""
    text: str = ""
    url: str = field(default="", repr=False)


_RISK_CODES = frozenset(
    {
        "FAIL_SYS_USER_VALIDATE",
        "RGV587_ERROR",
        "RRXVv_ERROR",
        "FAIL_SYS_RGV587_ERROR",
        "FAIL_SYS_ILLEGAL_ACCESS",
        "FAIL_BIZ_WUA_IS_MACHINE",
    }
)
_RISK_MARK = "SM"
"""What stands before the second ``::`` of an entry that wants a check, however its code is spelled."""
_RISK_TEXTS = ("被挤爆", "挤爆了", "captcha", "punish?x5secdata")
_RISK_URLS = ("punish", "captcha", "validate")
_SESSION_CODES = frozenset({"FAIL_SYS_SESSION_EXPIRED", "FAIL_BIZ_USER_NOT_LOGIN"})
_SESSION_TEXTS = ("会话过期", "Session过期")
_TOKEN_CODES = frozenset(
    {"FAIL_SYS_TOKEN_EMPTY", "FAIL_SYS_TOKEN_EXOIRED", "FAIL_SYS_TOKEN_EXPIRED", "FAIL_SYS_TOKEN_ILLEGAL"}
)
_BUSY_WORDS = ("FLOWLIMIT", "TRAFFIC_LIMIT", "USER_LIMIT")
_GONE_CODES = frozenset({"FAIL_SYS_API_NOT_FOUNDED", "FAIL_SYS_SERVICE_NOT_EXIST"})
_FAULT_WORDS = ("TIMEOUT", "FAULT")
_MAX_URL_CHARACTERS = 8192
_CHECK_PAGE = re.compile(rb"punish\?x5secdata|/_____tmd_____/")
_CHECK_LINK = re.compile(rb"(?:https?:)?//[^\s\"'<>\\]{1,8000}?/punish\?[^\s\"'<>\\]{1,8000}")


def judge(reply: Mapping[str, object]) -> Verdict:
    """Return the meaning of an answer from all entries of ``ret``: risk first, then session, then token.

    ``请稍后重试`` alone is not a sign of risk control: business errors contain it too. The address in ``data`` counts
    only when no entry reports success, because an item's page may link anywhere.
    """
    entries = _entries(reply.get("ret"))
    succeeded = any(code == "SUCCESS" for code, _ in entries) and not any(
        code.startswith("FAIL") for code, _ in entries
    )
    url = "" if succeeded else _url(reply.get("data")) or _web_address(reply.get("url"))
    for meaning, matches in (
        (Meaning.RISK, _is_risk),
        (Meaning.SESSION, _is_session),
        (Meaning.TOKEN, _is_token),
    ):
        for code, text in entries:
            if matches(code, text):
                return Verdict(meaning, code, text, url)
    if is_risk_url(url) or (reply.get("rgv587_flag") and not succeeded):
        return Verdict(Meaning.RISK, url=url)
    if succeeded:
        return Verdict(Meaning.OK)
    return _business(entries)


def is_risk_url(url: str) -> bool:
    """Return whether an address leads to the site's verification page."""
    return any(word in url for word in _RISK_URLS)


def require_good(reply: Mapping[str, object], where: str) -> None:
    """Raise for an answer of another service that says what signed calls answer (docs/protocol.md §2.3).

    The passport and the upload report risk control as the signed calls do, or by ``url`` alone (§2.7).

    ``ActionRequired`` (``risk_control`` with the address, or ``login_expired``), ``ComeBackLater`` when the site has no
    room, ``TemporaryFailure`` (``token_rejected``, ``api_gone``). ``where`` names the service in the message.
    """
    verdict = judge(reply)
    match verdict.meaning:
        case Meaning.RISK:
            raise ActionRequired("risk_control", action_url=verdict.url)
        case Meaning.SESSION:
            raise ActionRequired("login_expired")
        case Meaning.BUSY:
            raise ComeBackLater(f"{where}: the site has no room", code="rate_limited")
        case Meaning.TOKEN:
            raise TemporaryFailure(f"{where}: the signing token is stale", code="token_rejected")
        case Meaning.GONE:
            raise TemporaryFailure(f"{where}: the site no longer offers this", code="api_gone")


def stop_in(status: int, location: str, body: bytes | None) -> ActionRequired | None:
    """Return what an answer says instead of a reply: a check, or that the login is gone; ``None`` for any other answer.

    The gateway may put itself before any door: by a redirect, or with any HTTP status by a page or an object.
    """
    if 300 <= status < 400 and is_risk_url(location):
        return ActionRequired("risk_control", action_url=_web_address(location))
    if status == 200 or not body:
        return None
    try:
        verdict = judge(parse_json_object(body))
    except UndecodableFrame:
        url = risk_in_page(body)
        return None if url is None else ActionRequired("risk_control", action_url=url)
    if verdict.meaning is Meaning.RISK:
        return ActionRequired("risk_control", action_url=verdict.url)
    return ActionRequired("login_expired") if verdict.meaning is Meaning.SESSION else None


def risk_in_refusal(body: Mapping[str, object]) -> str | None:
    """Return the address to open if a refusal on the message socket means risk control (§3.2), otherwise ``None``.

    The address is empty when the answer names none.
    """
    words = [str(body.get(name, "")) for name in ("reason", "code", "developerMessage", "moreInfo")]
    url = _web_address(body.get("url")) or _url(body.get("data"))
    is_named = any(code in text for text in words for code in (*_RISK_CODES, *_RISK_TEXTS, f"::{_RISK_MARK}::"))
    return url if is_named or is_risk_url(url) else None


def risk_in_page(body: bytes) -> str | None:
    """Do the same for an answer that is a page: the site's verification page may replace any answer."""
    if not _CHECK_PAGE.search(body):
        return None
    link = _CHECK_LINK.search(body)
    return _web_address(html.unescape(link[0].decode("ascii", "replace"))) if link else ""


def _business(entries: list[tuple[str, str]]) -> Verdict:
    failures = [entry for entry in entries if entry[0] != "SUCCESS"]
    if not failures:
        return Verdict(Meaning.UNREADABLE)
    code, text = failures[0]
    if code in _GONE_CODES:
        return Verdict(Meaning.GONE, code, text)
    if code.startswith("FAIL_SYS_") and any(word in code for word in _BUSY_WORDS):
        return Verdict(Meaning.BUSY, code, text)
    if code.startswith("FAIL_SYS_") and any(word in code for word in _FAULT_WORDS):
        return Verdict(Meaning.FAULT, code, text)
    return Verdict(Meaning.REFUSED, code, text)


def _entries(ret: object) -> list[tuple[str, str]]:
    texts = ret if isinstance(ret, list) else [ret]
    halves = [text.partition("::") for text in texts if isinstance(text, str) and text.strip()]
    return [(code.strip(), text) for code, _, text in halves]


def _url(data: object) -> str:
    return _web_address(data.get("url") if isinstance(data, dict) else None)


def _web_address(url: object) -> str:
    """Return the address if it may be shown as a link; empty otherwise."""
    if not isinstance(url, str) or len(url) > _MAX_URL_CHARACTERS or not url.isprintable():
        return ""
    url = f"https:{url}" if url.startswith("//") else url
    return url if url.startswith(("https://", "http://")) else ""


def _is_risk(code: str, text: str) -> bool:
    return (
        code in _RISK_CODES
        or text.partition("::")[0] == _RISK_MARK
        or any(word in code or word in text for word in _RISK_TEXTS)
    )


def _is_session(code: str, text: str) -> bool:
    return code in _SESSION_CODES or any(word in code or word in text for word in _SESSION_TEXTS)


def _is_token(code: str, _text: str) -> bool:
    return code in _TOKEN_CODES
