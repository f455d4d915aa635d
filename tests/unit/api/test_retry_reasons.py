"""Each reason to try again has words in both languages."""

from __future__ import annotations

import re
from pathlib import Path

from shoal.accounts.diagnosis import PROXY_REASONS
from shoal.api.language import Language
from shoal.api.retry_reasons import RETRY_REASONS, retry_words
from shoal.connection.keepalive import DeafConnection
from shoal.errors import NotApplied, OutcomeUnknown, StoreError
from shoal.xianyu.live_socket import ReplyTimeout, SocketClosed, TokenRefused
from shoal.xianyu.site_session import SITE_UNTRUSTED, UNREACHABLE

ROOT = Path(__file__).parents[3] / "src" / "shoal"
CODE = re.compile(r"\bcode=\"(\w+)\"")
ENDING = (
    "xianyu/live_socket.py",
    "xianyu/mtop.py",
    "connection/keepalive.py",
    "connection/socket_tokens.py",
    "connection/xianyu_live.py",
)
"""Where the failures arise that end a connection."""


def test_every_reason_that_a_connection_can_end_with_has_words() -> None:
    named = {code for file in ENDING for code in CODE.findall((ROOT / file).read_text(encoding="utf-8"))}
    assert {"handshake_refused", "push_overflow"} <= named
    named |= {UNREACHABLE, SITE_UNTRUSTED}
    ends_none = {"malformed_id"}
    kinds = (DeafConnection, ReplyTimeout, SocketClosed, TokenRefused, StoreError, NotApplied, OutcomeUnknown)
    assert (named - ends_none) | {kind.code for kind in kinds} | PROXY_REASONS <= set(RETRY_REASONS)


def test_the_words_are_in_the_readers_language() -> None:
    for zh, en in RETRY_REASONS.values():
        assert re.search(r"[一-鿿]", zh)
        assert not re.search(r"[一-鿿]", en)
    assert retry_words("connect_limit", "detail", Language.ZH) == "闲鱼要求稍后再连"
    assert retry_words("connect_limit", "detail", Language.EN) == "the site wants us to come back later"
    assert retry_words("something_new", "its detail", Language.ZH) == "its detail"
    assert retry_words("something_new", "", Language.EN) == "something_new"
