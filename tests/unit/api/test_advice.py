"""Each reason to try again has words in both languages."""

from __future__ import annotations

import re
from pathlib import Path

from shoal.accounts.diagnosis import PROXY_REASONS
from shoal.api.advice import park_words, retry_words
from shoal.connection.keepalive import DeafConnection
from shoal.errors import CommitUnknown, NotApplied, StoreError
from shoal.language.catalogue import ROOT as CATALOGUE
from shoal.language.catalogue import read_catalogue
from shoal.language.choice import Language
from shoal.xianyu.site_session import SITE_UNTRUSTED, UNREACHABLE
from shoal.xianyu.socket_errors import ReplyTimeout, SocketClosed, TokenRefused

ROOT = Path(__file__).parents[3] / "src" / "shoal"
CODE = re.compile(r"\bcode=\"(\w+)\"")
ENDING = (
    "xianyu/handshake.py",
    "xianyu/live_socket.py",
    "xianyu/socket_errors.py",
    "xianyu/mtop.py",
    "connection/keepalive.py",
    "connection/socket_tokens.py",
    "connection/xianyu_live.py",
)
"""Where the failures arise that end a connection."""


def _codes() -> set[str]:
    return {key.removeprefix("retry.") for key in read_catalogue(CATALOGUE / "zh") if key.startswith("retry.")}


def test_every_reason_that_a_connection_can_end_with_has_words() -> None:
    named = {code for file in ENDING for code in CODE.findall((ROOT / file).read_text(encoding="utf-8"))}
    assert {"handshake_refused", "push_overflow"} <= named
    named |= {UNREACHABLE, SITE_UNTRUSTED}
    ends_none = {"malformed_id"}
    kinds = (DeafConnection, ReplyTimeout, SocketClosed, TokenRefused, StoreError, NotApplied, CommitUnknown)
    assert (named - ends_none) | {kind.code for kind in kinds} | PROXY_REASONS <= _codes()


def test_the_words_are_in_the_readers_language() -> None:
    assert retry_words("connect_limit", "detail", Language.ZH) == "闲鱼要求稍后再连"
    assert retry_words("connect_limit", "detail", Language.EN) == "Xianyu asked to connect later"
    assert retry_words("something_new", "its detail", Language.ZH) == "its detail"
    assert retry_words("something_new", "", Language.EN) == "something_new"
    assert park_words("login_expired", Language.EN) == "the login expired"
    assert park_words("something_new", Language.EN) == "something_new"
