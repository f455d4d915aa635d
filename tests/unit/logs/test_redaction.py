"""No secret survives being written down, in whatever form a library, an exception or somebody's page quotes it."""

from __future__ import annotations

import base64
import itertools
import json
import subprocess
import sys
import textwrap
from collections.abc import Callable
from http.cookies import SimpleCookie
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict
from yarl import URL

from shoal.logs.redaction import MAX_CHARACTERS, redact_fields, redact_path, redact_text

TOKEN = "dZ8kQm1xV7nB3cR5tY9wL2pG6sH4jF0aE-_uIoPq12A"
COOKIE = "1f0e7c2d9a3b4c5d1f0e"
PASSWORD = "correct-horse/9!"
SEED = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"
CODE = "k7f3-9q2m"
OWN = f"shoal_{TOKEN}"
BASIC = base64.b64encode(f"admin:{PASSWORD}".encode()).decode()
SECRETS = (TOKEN, COOKIE, PASSWORD, quote(PASSWORD), quote(PASSWORD, safe=""), SEED, CODE, BASIC, "654321", "JBSW Y3DP")
OTPAUTH = f"otpauth://totp/Shoal:admin?secret={SEED}&issuer=Shoal"
LINK = f"https://shop.example/console/join#{TOKEN}"

TEXTS = {
    "a proxy": f"cannot connect to http://user:{PASSWORD}@proxy.example:8080",
    "a proxy, encoded": f"socks5://us%40er:{quote(PASSWORD, safe='')}@proxy.example:1",
    "a proxy whose password has an @": f"socks5://user:a@b{PASSWORD}@proxy.example:1",
    "a proxy with a token for a user": f"https://{TOKEN}@proxy.example",
    "a proxy without a scheme": "user:654321@proxy.example:8080",
    "a database": "postgresql+psycopg://shoal:654321@db:5432/shoal",
    "a token of ours": f"the token {OWN} was refused",
    "a token of ours in a URL": f"GET /cookies?t={OWN}",
    "an invitation": f"open {LINK} once",
    "an invitation, encoded": f"/login?next={quote(LINK, safe='')}",
    "an address for an authenticator": OTPAUTH,
    "the same, encoded twice": quote(quote(OTPAUTH, safe=""), safe=""),
    "a seed": f"seed={SEED}",
    "a seed without a name": f"scan {SEED} with your app",
    "a seed in groups": "JBSW Y3DP EHPK 3PXP JBSW Y3DP EHPK 3PXP",
    "recovery codes": repr({"recovery_codes": [CODE, "x"], "left": 2}),
    "a recovery code": json.dumps({"recovery_code": CODE}),
    "one-time passwords": json.dumps({"otp": "654321"}) + " code=654321",
    "headers": repr(CIMultiDict({"Cookie": f"cookie2={COOKIE}; t=1", "Authorization": f"Bearer {TOKEN}"})),
    "raw headers": repr([(b"cookie", f"cookie2={COOKIE}".encode()), (b"authorization", f"Bearer {TOKEN}".encode())]),
    "pairs": repr([("cookie", f"shoal_session={TOKEN}"), ("x-api-key", TOKEN)]),
    "lines of headers": f"X-Auth-Token: {TOKEN}\r\nAuthorization: Basic {BASIC}\r\nCookie: a=1;\r\n cookie2={COOKIE}",
    "a sub-protocol": f"Sec-WebSocket-Protocol: bearer, {TOKEN}",
    "a browser's cookie": f"__Host-shoal_session={TOKEN}; Path=/",
    "a nameless one beside the site's": f"cna=xyz; t={COOKIE}; unb=2200000000001",
    "JSON": json.dumps({"cookie": COOKIE, "new_password": PASSWORD, "old_password": None}, indent=2),
    "JSON in JSON in JSON": json.dumps({"a": json.dumps({"b": json.dumps({"token": TOKEN, "password": PASSWORD})})}),
    "JSON, cut off": json.dumps({"body": json.dumps({"token": TOKEN})})[:-5],
    "JSON with a quote": json.dumps({"password": f'a"b{PASSWORD}'}),
    "cookies of an extension": json.dumps([{"domain": ".x", "httpOnly": True, "name": "t", "value": COOKIE}]),
    "a Netscape file": f".goofish.com\tTRUE\t/\tFALSE\t0\tcookie2\t{COOKIE}",
    "a line of it, quoted": repr(f".goofish.com\tTRUE\t/\tFALSE\t0\tt\t{COOKIE}"),
    "YAML": f"password: {PASSWORD}\ntoken: {TOKEN}",
    "a sentence in Chinese": f"您的密码：{PASSWORD}",
    "arguments": f"Login(name='admin', password='a b {PASSWORD}', proxy='http://u:{PASSWORD}@h:1')",
    "a query": f"/x?password=a b {PASSWORD}&lgToken={TOKEN}&key={TOKEN}",
    "a webhook": f"https://api.telegram.org/bot123456:{TOKEN}/sendMessage",
    "bytes": repr(b"token=" + TOKEN.encode()),
    "SQL": f"[SQL: VACUUM]\n[parameters: ('cookie2={COOKIE}', 5)]",
    "the environment": f"SHOAL_SECRET_KEY={TOKEN} SHOAL_ADMIN_PASSWORD={PASSWORD}",
}  # fmt: skip


def leaks(text: str) -> list[str]:
    return [secret for secret in SECRETS if secret in text]


@pytest.mark.parametrize("name", TEXTS)
def test_a_text_loses_its_secrets_and_losing_them_twice_changes_nothing(name: str) -> None:
    assert leaks(TEXTS[name])
    cleaned = redact_text(TEXTS[name])
    assert not leaks(cleaned), cleaned
    assert redact_text(cleaned) == cleaned
    fields = redact_fields({"event": TEXTS[name], "data": [TEXTS[name].encode(), {"deep": TEXTS[name]}]})
    assert not leaks(repr(fields))


@pytest.mark.parametrize(
    "text",
    [
        "account running",
        "shop 木子数码: 3 rules, 2 tokens left, cookies: 12",
        "number=5; bookmark=7",
        "GET /cookies/details",
        "the token was refused: FAIL_SYS_TOKEN_EXOIRED, tokens=3, token: expired",
        "token: null, password: None",
        "see https://shop.example/console/shops?filter=parked#top and http://127.0.0.1:8080/a@b",
        "100% of %d rows; 3%3 left",
        "join us: http://127.0.0.1:8080/console/join",
        "code: unknown_account, code=429",
        "mail bob@example.com at 12:30:05",
        "CREATE INDEX ON ROWS WITH SOME MORE",
    ],
)
def test_an_ordinary_text_stays_as_it_is(text: str) -> None:
    assert redact_text(text) == text


WRAPS: list[Callable[[str], str]] = [
    lambda text: text,
    lambda text: json.dumps({"body": text}),
    lambda text: json.dumps({"body": text}, ensure_ascii=False, indent=1),
    lambda text: quote(text, safe=""),
    lambda text: f"Traceback (most recent call last):\n  File x\nValueError: {text}",
    lambda text: f"said {text!r}, and went",
    lambda text: f"({text})",
]


@pytest.mark.parametrize("name", TEXTS)
def test_no_wrapping_saves_a_secret(name: str) -> None:
    for inner, outer in itertools.product(WRAPS, WRAPS):
        wrapped = outer(inner(TEXTS[name]))
        assert not leaks(redact_text(wrapped)), wrapped


@given(st.text(alphabet="tokenpasswrd=:'\"\\[](){} ;,&@/%4123\t\n#", max_size=200))
def test_any_text_is_taken_and_stays_as_it_is_the_second_time(text: str) -> None:
    once = redact_text(text)
    assert redact_text(once) == once


def test_secrets_hide_in_no_shape_of_a_field() -> None:
    jar: SimpleCookie = SimpleCookie()
    jar["cookie2"] = COOKIE

    class Broken:
        def __repr__(self) -> str:
            raise RuntimeError(TOKEN)

    class Holder:
        def __repr__(self) -> str:
            return f"Holder({TOKEN})"

    fields: dict[str, Any] = {
        "headers": CIMultiDict({"Authorization": TOKEN}),
        "raw": [(b"authorization", TOKEN.encode()), ("x-token", TOKEN)],
        "jar": jar,
        "url": URL(f"http://user:{quote(PASSWORD, safe='')}@proxy.example:1"),
        "otp": 654321,
        "code": OTPAUTH,
        "totp_seed": SEED,
        "recovery_codes": [CODE, CODE],
        "token": Holder(),
        "credentials": {"user": {"password": PASSWORD}},
        "broken": Broken(),
        "why": ExceptionGroup("several", [ValueError(f"token={TOKEN}")]),
        "data": bytearray(f"token={TOKEN}".encode()),
    }
    assert not leaks(repr(redact_fields(fields)))
    harmless = {
        "token_count": 7,
        "cookies": 3,
        "cookie_fingerprint": "1f0e9a3c",
        "totp": True,
        "token": None,
        "seed": "",
    }
    assert redact_fields(harmless) == harmless


@pytest.mark.parametrize("wrap", [list, tuple, set, frozenset], ids=lambda wrap: str(wrap.__name__))
def test_f4_a_list_under_a_secret_name_shows_marks_only(wrap: Callable[[list[Any]], Any]) -> None:
    """Plain words, which no pattern would find: only the name of the field says that they are secret."""
    words = ["correct-horse", "battery-staple"]
    shown = redact_fields({"tokens": wrap(words), "nested": {"cookies": [wrap(words), words]}, "pins": words})
    assert not any(word in repr({**shown, "pins": None}) for word in words)
    assert len(shown["tokens"]) == 2
    assert shown["pins"] == words


HOSTILE = {
    "words": "a" * 65_000, "names": "token." * 10_000, "quotes": 'token="' * 9_000, "brackets": "token=[" * 9_000,
    "open brackets": "token=" + "[" * 60_000, "urls": "http://a:" * 7_000, "schemes": "://" * 20_000,
    "encoded": "%41" * 20_000, "encoded signs": "%25" * 20_000, "cookies": "a=b;" * 16_000, "seeds": "ABCD " * 13_000,
    "passwords": "password=" * 7_000, "blanks": "password=x" + " " * 60_000, "values": '"value":"' * 7_000 + '"name":',
    "tuples": "('token','" * 6_000, "backslashes": "".join("token=" + "\\" * k + '"' for k in range(1, 350)),
    "tabs": "\tTRUE" * 12_000, "hosts": "aaaa:bbbb@" * 6_000, "colons": "a:" * 30_000,
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_a_text_that_was_made_to_be_slow_is_not(name: str) -> None:
    redact_text(HOSTILE[name])  # a pattern that goes back and forth takes minutes for one of these


def test_a_token_in_a_path_is_not_repeated_and_ids_are() -> None:
    for path in (f"/cookies/{TOKEN}/history", f"/x/{TOKEN}.json", f"/x/a,{TOKEN}", TOKEN):
        assert TOKEN not in redact_path(path)
    redact_path("/" + "1" * 60_000)  # nor does it take long
    for path in (
        "/ops/7d0c1f7a4b6e4f0e9d1b0c7a5e2f3a41",
        "/cookies/my-shop-Number-1/history",
        "/assets/paged-9TWZnbM1.js",
    ):
        assert redact_path(path) == path


def test_a_monster_is_cut() -> None:
    assert len(redact_text("x=" * MAX_CHARACTERS)) == MAX_CHARACTERS + 1


def test_what_a_process_says_as_it_dies_goes_the_same_way() -> None:
    program = f"""
        import sys, threading
        from shoal.logs.logs import configure_logging, log_crashes

        configure_logging(json=True)
        log_crashes()

        class Dying:
            def __del__(self):
                raise ValueError("token={TOKEN}")

        def run():
            raise ValueError("Cookie: cookie2={COOKIE}")

        Dying()
        thread = threading.Thread(target=run)
        thread.start()
        thread.join()
        raise RuntimeError("http://user:{PASSWORD}@proxy:1")
    """
    ended = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True, timeout=60, check=False
    )
    assert ended.returncode == 1
    assert ended.stdout == ""
    rows = [json.loads(line) for line in ended.stderr.splitlines()]
    assert [row["level"] for row in rows] == ["critical"] * 3
    assert ["ValueError" in row["exception"] for row in rows] == [True, True, False]
    # the program itself stands in no file, so no line of it is quoted
    assert not leaks(ended.stderr)
