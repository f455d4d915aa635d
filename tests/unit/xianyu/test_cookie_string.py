import json
import shlex
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.errors import InvalidInput
from shoal.xianyu import cookie_string
from shoal.xianyu.cookie_string import check_cookie, format_cookie, merge, missing_names, parse_cookie, require_cookie

PAIRS = {
    "unb": "2200000000002",
    "cookie2": "1a2b3c",
    "_m_h5_tk": "0123456789abcdef0123456789abcdef_1750000000000",
    "_m_h5_tk_enc": "fedcba",
    "tracknick": "fish%20shop",
    "isg": "BAb-c=='x",
}
HEADER = "; ".join(f"{name}={value}" for name, value in PAIRS.items())
ENTRIES = [{"name": name, "value": value, "domain": ".goofish.com"} for name, value in PAIRS.items()]
NETSCAPE = "# Netscape HTTP Cookie File\n\n" + "\n".join(
    f"{'#HttpOnly_' if name == 'cookie2' else ''}.goofish.com\tTRUE\t/\tFALSE\t1780000000\t{name}\t{value}"
    for name, value in PAIRS.items()
)


def cmd_quote(text: str) -> str:
    escaped = "".join(f"^{character}" if character in "%&()<>|!'" else character for character in text)
    return f'^"{escaped}^"'


def powershell_quote(text: str) -> str:
    return '"' + "".join(f"`{character}" if character in '`$"' else character for character in text) + '"'


WRITTEN: dict[str, str] = {
    "header in quotes": f"'{HEADER}'",
    "header with its name, in quotes": f'Cookie: "{HEADER}"',
    "header over several lines": HEADER.replace("; ", ";\n  "),
    "curl for bash with -H and its value in one": f"curl https://a.example -H{shlex.quote('Cookie: ' + HEADER)}",
    "curl for bash with -b and its value in one": f"curl https://www.goofish.com/ -b{shlex.quote(HEADER)}",
    "curl for bash with --header=": f"curl https://a.example --header={shlex.quote('Cookie: ' + HEADER)}",
    "curl behind a prompt": f"$ curl https://a.example --header {shlex.quote('Cookie: ' + HEADER)}",
    "PowerShell": "$session = New-Object Microsoft.PowerShell.Commands.WebRequestSession\r\n"
    + "".join(
        f"$session.Cookies.Add((New-Object System.Net.Cookie({powershell_quote(name)}, {powershell_quote(value)}, "
        '"/", ".goofish.com")))\r\n'
        for name, value in PAIRS.items()
    )
    + 'Invoke-WebRequest -UseBasicParsing -Uri "https://www.goofish.com/im" `\r\n-WebSession $session',
    "fetch for Node.js": 'fetch("https://www.goofish.com/im", {\n  "headers": '
    + json.dumps({"accept": "*/*", "cookie": HEADER}, indent=4)
    + ',\n  "body": null,\n  "method": "GET"\n});',
    "header": HEADER,
    "header with blanks and a last semicolon": f"  {HEADER.replace('; ', ' ;')};\n",
    "header with its name": f"Cookie: {HEADER}",
    "header with its name in lower case": f"cookie:{HEADER}",
    "curl for bash": f"curl 'https://a.example/' \\\n  -H 'accept: */*' \\\n  -H {shlex.quote('cookie: ' + HEADER)}",
    "curl for bash with -b": f"curl 'https://www.goofish.com/' \\\n  -b {shlex.quote(HEADER)} \\\n  --compressed",
    "curl for bash with --cookie=": f"curl https://www.goofish.com/ --cookie={shlex.quote(HEADER)}",
    "curl for bash with ANSI quotes": "curl 'https://www.goofish.com/' -b $'" + HEADER.replace("'", "\\u0027") + "'",
    "curl with ANSI quotes and a quote in them": f"curl https://a.example -H $'x:it\\'s\\tme' -b {shlex.quote(HEADER)}",
    "curl for cmd": f'curl ^"https://a.example/^" ^\n  -H ^"accept: */*^" ^\n  -H {cmd_quote("cookie: " + HEADER)}',
    "curl for cmd with -b": f'curl ^"https://www.goofish.com/^" ^\r\n  -b {cmd_quote(HEADER)} ^\r\n  --compressed',
    "older curl for cmd": f'curl "https://www.goofish.com/" -H "cookie: {HEADER}"',
    "JSON list": json.dumps(ENTRIES),
    "JSON with cookies": json.dumps({"url": "https://www.goofish.com", "cookies": ENTRIES}),
    "JSON object of names": json.dumps(PAIRS),
    "JSON with a number": json.dumps([*ENTRIES[1:], {"name": "unb", "value": 2200000000002}][::-1]),
    "Netscape file": NETSCAPE,
    "Netscape lines without heading": "\n".join(NETSCAPE.splitlines()[2:]),
}


@pytest.mark.parametrize(
    "text", [pytest.param(text, id=name) for name, text in WRITTEN.items() if "number" not in name]
)
def test_every_form_that_owners_paste_gives_the_same_pairs(text: str) -> None:
    assert parse_cookie(text) == PAIRS


def test_numbers_in_json_become_text() -> None:
    assert parse_cookie('[{"name": "unb", "value": 2200000000002}]') == {"unb": "2200000000002"}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "   ",
        "hello",
        "hello; a=b",
        "=value",
        "a=b\r\nX-Evil: 1",
        "a=b\x00",
        "a=\ud800",
        "a b=c",
        "名=c",
        '{"[a": "b"}',
        '{"cookie:a": "b"}',
        "{",
        "[1]",
        '"text"',
        "[" * 50_000,
        '{"a": {"b": "c"}}',
        '[{"name": "a", "value": "b;c=d"}]',
        '[{"name": "a", "value": "b\\nc"}]',
        '[{"name": "a"}]',
        "[]",
        "curl 'https://www.goofish.com/'",
        "curl 'https://www.goofish.com/",
        "curl https://www.goofish.com/ -b cookies.txt",
        'fetch("https://www.goofish.com/im", {"headers": {"accept": "*/*"}, "method": "GET"});',
        'fetch("https://www.goofish.com/im", {"headers": {"accept": ',
        'Invoke-WebRequest -UseBasicParsing -Uri "https://www.goofish.com/im"',
        "a=" + "b" * (64 * 1024),
        "a=" + "鱼" * (22 * 1024),
    ],
)
def test_garbage_is_refused_with_one_code(text: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        parse_cookie(text)
    assert refused.value.code == "malformed_cookie"


@given(
    st.one_of(st.text(), st.builds(lambda head, tail: head + tail, st.sampled_from(list(WRITTEN.values())), st.text()))
)
def test_no_text_raises_anything_else_and_what_passes_is_one_header_line(text: str) -> None:
    try:
        header = format_cookie(parse_cookie(text))
    except InvalidInput:
        return
    assert "\n" not in header
    assert "\r" not in header
    assert parse_cookie(header) == parse_cookie(text)


def test_cookies_of_other_domains_give_way_to_the_sites_own() -> None:
    entries = [*ENTRIES, {"name": "unb", "value": "999", "domain": ".example.com"}]
    assert parse_cookie(json.dumps(entries)) == PAIRS


def test_the_last_of_two_equal_names_wins() -> None:
    assert parse_cookie("a=1; a=2") == {"a": "2"}


@pytest.mark.parametrize("step", [1, -1])
def test_of_two_domains_of_the_site_the_cookie_of_the_whole_site_wins(step: int) -> None:
    """It goes to every host, in whatever order an extension lists the two."""
    narrow = [{"name": name, "value": "narrow", "domain": "m.goofish.com"} for name in ("_m_h5_tk", "only")]
    found = parse_cookie(json.dumps([*ENTRIES, *narrow][::step]))
    assert found == {**PAIRS, "only": "narrow"}


def test_a_request_that_was_copied_without_its_cookies_is_told_as_such() -> None:
    for text in (
        'fetch("https://www.goofish.com/im", {"headers": {"accept": "*/*"}});',
        "curl https://www.goofish.com",
    ):
        with pytest.raises(InvalidInput) as refused:
            parse_cookie(text)
        assert refused.value.params["reason"] == "curl_without_cookie"


def test_two_sellers_in_one_cookie_are_refused_and_one_named_twice_is_not() -> None:
    """Whose cookie2 it is cannot be told, and the account would belong to either."""
    assert parse_cookie("unb=22; cookie2=a; unb=22") == {"unb": "22", "cookie2": "a"}
    entries = [{"name": "unb", "value": value, "domain": ".goofish.com"} for value in ("22", "23")]
    for text in ("unb=22; cookie2=a; unb=23", "unb=; cookie2=a; unb=23", json.dumps(entries)):
        with pytest.raises(InvalidInput) as refused:
            check_cookie(text)
        assert refused.value.params["reason"] == "two_sellers"


def test_a_check_says_who_it_is_and_what_is_missing() -> None:
    check = check_cookie("unb=2200000000002; cookie2=; _m_h5_tk=x_1")
    assert check.unb == "2200000000002"
    assert check.missing_required == ("cookie2",)
    assert check.missing_renewable == ("_m_h5_tk_enc",)
    assert missing_names({}) == ("unb", "cookie2", "_m_h5_tk", "_m_h5_tk_enc")


def test_a_check_hides_the_cookie_in_its_repr() -> None:
    check = check_cookie(HEADER)
    assert check.header == HEADER
    assert check.fingerprint == cookie_string.fingerprint(HEADER)
    assert len(check.fingerprint) == 8
    assert "1a2b3c" not in repr(check)


def test_renewable_names_may_be_missing() -> None:
    assert require_cookie("unb=1; cookie2=x").missing_renewable == ("_m_h5_tk", "_m_h5_tk_enc")


def test_a_cookie_without_login_is_incomplete() -> None:
    with pytest.raises(InvalidInput) as refused:
        require_cookie("cna=x")
    assert refused.value.code == "cookie_incomplete"
    assert refused.value.params["missing"] == ["unb", "cookie2"]


@pytest.mark.parametrize("read", [check_cookie, require_cookie])
def test_the_user_id_is_a_number(read: Callable[[str], object]) -> None:
    for unb in ("abc", "12x", "٣٤", "1" * 33):
        with pytest.raises(InvalidInput):
            read(f"unb={unb}; cookie2=x")


def test_merging_keeps_order_adds_at_the_end_and_drops_what_is_deleted() -> None:
    assert merge("a=1; b=2; c=3; d=4", {"e": "5", "b": "9", "c": "", "d": "deleted"}) == "a=1; b=9; e=5"
    assert merge("", {"a": "1"}) == "a=1"


def test_merging_refuses_what_would_break_the_header() -> None:
    with pytest.raises(InvalidInput):
        merge("a=1", {"b": "x\r\ny: z"})


@pytest.mark.parametrize(
    ("header", "at_ms"),
    [
        ("unb=1; cookie2=a; havana_lgc_exp=1767225600000", 1_767_225_600_000),
        ("havana_lgc_exp=1767225600000; unb=1; cookie2=a", 1_767_225_600_000),
        ("unb=1; cookie2=a", None),
        ("unb=1; cookie2=a; havana_lgc_exp=soon", None),
        ("unb=1; cookie2=a; havana_lgc_exp=176722560000099", None),
        ("unb=1; cookie2=a; x_havana_lgc_exp=1767225600000", None),
    ],
)
def test_a_cookie_may_say_itself_when_its_login_ends(header: str, at_ms: int | None) -> None:
    assert cookie_string.login_ends_at_ms(header) == at_ms
