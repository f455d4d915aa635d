"""Cookies have domains and paths: kept apart, sent by them, and older jars are read as they were written."""

from __future__ import annotations

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from shoal.xianyu.cookie_jar import GATEWAY, PAGES, PASSPORT, _key, add, all_pairs, cookies_set_by, pairs_for
from shoal.xianyu.site_session import open_site_session


async def set_by(*lines: str) -> dict[str, str]:
    async def answer(_: web.Request) -> web.Response:
        response = web.Response()
        for line in lines:
            response.headers.add("Set-Cookie", line)
        return response

    app = web.Application()
    app.router.add_get("/", answer)
    async with TestServer(app) as server, open_site_session() as session, session.get(server.make_url("/")) as reply:
        return cookies_set_by(reply)


async def test_a_cookie_may_be_set_for_the_site_and_deleted_for_one_host_in_one_answer() -> None:
    changed = await set_by(
        "_m_h5_tk=fresh_1; Domain=.goofish.com; Path=/; Max-Age=600",
        "_m_h5_tk=; Domain=m.goofish.com; Path=/; Max-Age=0",
    )
    assert changed == {"_m_h5_tk": "fresh_1", "_m_h5_tk;m.goofish.com;/": ""}
    jar: dict[str, str] = {}
    add(jar, changed)
    assert jar == {"_m_h5_tk": "fresh_1"}
    assert pairs_for(changed, PAGES) == {"_m_h5_tk": "fresh_1"}


async def test_what_is_deleted_foreign_or_no_pair_is_told_apart() -> None:
    changed = await set_by(
        "a=1; Max-Age=0",
        "b=2; Expires=Thu, 01-Jan-1970 00:00:10 GMT",
        "c=3; Expires=Thu, 01 Jan 2099 00:00:10 GMT; Max-Age=60; HttpOnly; Secure",
        "d=4; Domain=.mmstat.com",
        "e; Path=/",
        "=5",
        "f=6=7==",
        "g=8; Path=/newlogin",
    )
    assert changed == {"a": "", "b": "", "c": "3", "e": "", "f": "6=7==", "g;goofish.com;/newlogin": "8"}


@pytest.mark.parametrize(
    ("domain", "host", "key"),
    [
        ("", PASSPORT, "x;passport.goofish.com;/"),
        (".goofish.com", PASSPORT, "x"),
        ("passport.goofish.com", PASSPORT, "x;passport.goofish.com;/"),
        ("m.goofish.com", PASSPORT, ""),
        ("m.goofish.com", GATEWAY, "x;m.goofish.com;/"),
        ("evil.example", PASSPORT, ""),
        ("com", PASSPORT, ""),
        ("", "127.0.0.1", "x"),
    ],
)
def test_a_host_sets_cookies_for_itself_and_its_parents_within_the_site(domain: str, host: str, key: str) -> None:
    """A sandbox, which is no host of the site, stands for all of them."""
    assert _key("x", domain, "/", host) == key


def test_each_host_is_sent_its_own_and_the_narrower_one_wins() -> None:
    jar = {"x": "site", "x;passport.goofish.com;/": "passport", "XSRF-TOKEN;passport.goofish.com;/": "t", "old": "1"}
    assert pairs_for(jar, PASSPORT) == {"x": "passport", "XSRF-TOKEN": "t", "old": "1"}
    assert pairs_for(jar, GATEWAY) == {"x": "site", "old": "1"}
    assert all_pairs(jar) == {"x": "site", "old": "1", "XSRF-TOKEN": "t"}


def test_a_jar_of_an_older_version_is_one_of_the_whole_site() -> None:
    assert pairs_for({"unb": "1", "cookie2": "", "sgcookie": "E"}, GATEWAY) == {
        "unb": "1",
        "cookie2": "",
        "sgcookie": "E",
    }
