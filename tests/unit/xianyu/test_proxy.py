"""Proxy addresses: what is taken, in which form it is kept, and what is shown of it."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.errors import InvalidInput
from shoal.xianyu.proxy import Proxy, parse_proxy, shown_proxy


@pytest.mark.parametrize(
    ("text", "url", "shown"),
    [
        ("http://proxy.example.com:8080", "http://proxy.example.com:8080", "http://proxy.example.com:8080"),
        (" HTTP://Proxy.Example.com:8080/ ", "http://proxy.example.com:8080", "http://proxy.example.com:8080"),
        ("socks5h://10.0.0.1:1080", "socks5://10.0.0.1:1080", "socks5://10.0.0.1:1080"),
        ("socks5://[2001:db8::1]:1080", "socks5://[2001:db8::1]:1080", "socks5://[2001:db8::1]:1080"),
        ("http://ann:a%40b:c@h:1", "http://ann:a%40b%3Ac@h:1", "http://***@h:1"),
    ],
)
def test_a_proxy_has_one_form_and_is_shown_without_its_credentials(text: str, url: str, shown: str) -> None:
    proxy = parse_proxy(text)
    assert (proxy.url, proxy.shown, shown_proxy(proxy.url)) == (url, shown, shown)


@pytest.mark.parametrize(
    "text",
    [
        "", "proxy:8080", "https://h:1", "socks4://h:1", "ftp://h:1", "http://h", "http://:80", "http://h:0", "http://h:99999",
        "http://h:x", "http://h:1/path", "http://h:1?q=1", "http://h:1#f", "http://ann@h:1", "http://:secret@h:1",
        "http://an%3An:secret@h:1", "http://ann:s%0d%0aX:1@h:1", "http://ann:密码@h:1", "http://a b:1", "http://[::1:1",
        "socks5://ann:" + "x" * 256 + "@h:1", "http://" + "h" * 2000 + ":1",
    ],
)  # fmt: skip
def test_what_is_no_proxy_is_refused_and_never_repeated(text: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        parse_proxy(text)
    assert caught.value.code == "bad_proxy"
    assert "secret" not in f"{caught.value} {caught.value.params}"


def test_a_proxy_that_was_read_from_an_answer_is_not_taken_for_a_new_one() -> None:
    with pytest.raises(InvalidInput) as caught:
        parse_proxy(parse_proxy("http://ann:secret@h:1").shown)
    assert caught.value.code == "masked_proxy"


_PLAIN = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), min_size=1, max_size=40)


@given(st.sampled_from(["http", "socks5"]), _PLAIN.filter(lambda name: ":" not in name), _PLAIN)
def test_any_plain_credentials_come_back_as_they_were(scheme: str, name: str, password: str) -> None:
    if "***" in {name, password}:
        return
    proxy = Proxy(scheme, "h", 1, name, password)
    assert parse_proxy(proxy.url) == proxy
    assert repr(proxy) == f"Proxy(scheme='{scheme}', host='h', port=1)"


@given(st.text(max_size=60))
def test_no_text_raises_anything_else(text: str) -> None:
    with suppress(InvalidInput):
        parse_proxy(text)
