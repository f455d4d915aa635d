"""The browser of a cookie: read from what an owner pastes, whole or not at all; the default is one that exists."""

from __future__ import annotations

import json
import shlex

import pytest

from shoal.errors import StoreError
from shoal.xianyu.browser import OWN, Browser, browser_in, browser_of, chrome, read_browser, stored_form
from shoal.xianyu.cookie_string import check_cookie
from unit.xianyu.test_cookie_string import cmd_quote, powershell_quote

COOKIE = "unb=2200000000001; cookie2=1f0e-secret; _m_h5_tk=0123abcd_1760000000000"
EDGE = (
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/146.0.0.0 "
    "Safari/537.36 Edg/146.0.0.0"
)
HEADERS = {
    "accept": "application/json",
    "accept-language": "zh-CN,zh;q=0.9,en;q=0.8",
    "cookie": COOKIE,
    "sec-ch-ua": '"Chromium";v="146", "Not-A.Brand";v="24", "Microsoft Edge";v="146"',
    "sec-ch-ua-mobile": "?0",
    "sec-ch-ua-platform": '"macOS"',
    "user-agent": EDGE,
}
ADDRESS = (
    "https://h5api.m.goofish.com/h5/x/1.0/?api=x&spm_cnt=a21ybx.im.0.0&spm_pre=a21ybx.item.want.1.4f1c&log_id=4f1c"
)
WANTED = Browser(
    user_agent=EDGE,
    brands=HEADERS["sec-ch-ua"],
    mobile="?0",
    platform='"macOS"',
    language="zh-CN,zh;q=0.9,en;q=0.8",
)
CURL = f"curl '{ADDRESS}' \\\n" + " \\\n".join(
    f"  -H {shlex.quote(f'{name}: {value}')}" for name, value in HEADERS.items()
)
CMD = f'curl ^"{ADDRESS.replace("&", "^&")}^" ^\r\n' + " ^\r\n".join(
    "  -H " + cmd_quote(f"{name}: {value}".replace('"', '\\^"')) for name, value in HEADERS.items()
)
LINES = [f"{name}: {value}" for name, value in HEADERS.items()]
POWERSHELL = (
    "$session = New-Object Microsoft.PowerShell.Commands.WebRequestSession\n"
    f"$session.UserAgent = {powershell_quote(EDGE)}\n"
    + "".join(
        f'$session.Cookies.Add((New-Object System.Net.Cookie("{name}", "{value}", "/", ".goofish.com")))\n'
        for name, _, value in (pair.partition("=") for pair in COOKIE.split("; "))
    )
    + f'Invoke-WebRequest -UseBasicParsing -Uri "{ADDRESS}" `\n-WebSession $session `\n-Headers @{{\n'
    + "\n".join(
        f"  {powershell_quote(name)}={powershell_quote(value)}"
        for name, value in HEADERS.items()
        if name not in {"cookie", "user-agent"}
    )
    + "\n}"
)
COOKIES = [
    dict(zip(("name", "value"), pair.split("=", 1), strict=True), domain=".goofish.com") for pair in COOKIE.split("; ")
]
PASTED = {
    "curl for bash": CURL,
    "curl for cmd": CMD,
    "PowerShell": POWERSHELL,
    "fetch for Node.js": f'fetch("{ADDRESS}", {{\n  "headers": {json.dumps(HEADERS)},\n  "method": "POST"\n}});',
    "curl with -A and -b": f"curl '{ADDRESS}' -A {shlex.quote(EDGE)} -b {shlex.quote(COOKIE)} "
    + " ".join(f"-H {shlex.quote(line)}" for line in LINES if not line.startswith(("user-agent", "cookie"))),
    "block of headers": "\n".join(LINES),
    "block with a request line": "GET /im HTTP/1.1\r\nHost: www.goofish.com\r\n" + "\r\n".join(LINES),
    "block of HTTP/2": ":authority: www.goofish.com\n:method: GET\n" + "\n".join(LINES),
    "names and values by turns": "\n".join(f"{name}\n{value}" for name, value in HEADERS.items()),
    "export of an extension": json.dumps(
        {
            "cookies": COOKIES,
            "userAgent": EDGE,
            "headers": {name: value for name, value in HEADERS.items() if name not in {"cookie", "user-agent"}},
        }
    ),
    "export with all headers": json.dumps({"cookies": COOKIES, "headers": HEADERS}),
}


@pytest.mark.parametrize("text", [pytest.param(text, id=name) for name, text in PASTED.items()])
def test_every_form_that_tells_a_browser_gives_cookie_and_browser(text: str) -> None:
    found = check_cookie(text)
    assert found.header == COOKIE
    assert found.browser is not None
    assert (found.browser.headers, found.browser.name) == (WANTED.headers, "Edge 146, Mac OS")
    came_from = ("a21ybx.item.want.1.4f1c", "4f1c") if "log_id" in text else ("", "")
    assert (found.browser.spm_pre, found.browser.log_id) == came_from
    assert "secret" not in stored_form(found.browser)


@pytest.mark.parametrize(
    "text",
    [
        COOKIE,
        f"Cookie: {COOKIE}",
        json.dumps([{"name": "unb", "value": "1"}]),
        CURL.replace("sec-ch-ua:", "x:"),
        CURL.replace("sec-ch-ua-platform:", "x:"),
        CURL.replace(EDGE, "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0"),
        CURL.replace('v="146"', 'v="133"'),
        json.dumps({"cookies": [], "userAgent": EDGE}),
        "curl 'https://a.example' -H 'cookie: unb=1",
        CURL.replace(EDGE, "x" * 500),
        "",
    ],
)
def test_a_browser_that_is_not_told_whole_is_not_known(text: str) -> None:
    assert browser_in(text) is None


def test_a_browser_without_client_hints_sends_none() -> None:
    firefox = "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0"
    found = browser_in(f"User-Agent: {firefox}\nAccept-Language: zh-CN\nCookie: {COOKIE}")
    assert found == Browser(user_agent=firefox, language="zh-CN")
    assert set(found.headers) == {"User-Agent", "Accept-Language"}
    assert "priority" not in found.call_headers("*/*"), "its value is Chromium's"
    assert (found.name, found.system, found.navigator_platform) == ("Firefox 145, Linux", "Linux/other", "Linux x86_64")


@pytest.mark.parametrize(
    ("version", "brands"),
    [
        (129, '"Google Chrome";v="129", "Not=A?Brand";v="8", "Chromium";v="129"'),
        (133, '"Not(A:Brand";v="99", "Google Chrome";v="133", "Chromium";v="133"'),
        (140, '"Chromium";v="140", "Not=A?Brand";v="24", "Google Chrome";v="140"'),
        (146, '"Chromium";v="146", "Not-A.Brand";v="24", "Google Chrome";v="146"'),
    ],
)
def test_the_default_has_the_client_hints_that_this_very_chrome_sends(version: int, brands: str) -> None:
    """As they stand in requests that people published."""
    browser = chrome(version)
    assert (browser.brands, browser.mobile, browser.platform) == (brands, "?0", '"Windows"')
    assert browser.product == f"Chrome/{version}.0.0.0"
    assert f"Chrome/{version}.0.0.0" in browser.user_agent
    assert (browser.spm_pre, browser.log_id) == ("", "")


def test_a_stored_browser_is_read_back_and_damage_is_told() -> None:
    for browser in (WANTED, chrome(151), Browser("x", spm_pre="a", log_id="b")):
        assert read_browser(stored_form(browser)) == browser
    assert browser_of(None, WANTED) == browser_of(OWN, WANTED) == WANTED
    assert browser_of(stored_form(chrome(1)), WANTED) == chrome(1)
    for text in ("x", "[]", '{"user_agent": "x", "cookie": "y"}'):
        with pytest.raises(StoreError):
            read_browser(text)


def test_a_block_of_headers_without_a_cookie_is_refused() -> None:
    with pytest.raises(Exception, match="without cookie"):
        check_cookie("\n".join(line for line in LINES if not line.startswith("cookie")))
