"""What clients that work on the real site do, and no strict rule may refuse; as seen in two, which are run by a proof.

``tests/faults/prove_other_clients.py`` runs XianyuAutoAgent and XianYuApis themselves.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from faults import prove_other_clients
from other_clients.trial import Trial, note_rules, strict_site
from sandbox.strict_client import AGENT, OK, REG, Page, bitten, strict
from sandbox.test_strict_http import code
from shoal.sandbox.strict.rules import MANNERS, RULES, STRICT, Witness

OLDER: dict[str, str | None] = {"User-Agent": AGENT.replace("146", "133")}
"""The Chrome that both name at the handshake and in ``/reg``, while the call for a token names 146."""
NAV_API = "mtop.idle.web.user.page.nav"
FEED_API = "mtop.taobao.idlehome.home.webpc.feed"
GAIA_API = "mtop.gaia.nodejs.gaia.idle.data.gw.v2.index.get"


def test_g13_every_strict_rule_names_its_witness() -> None:
    assert {rule.witness for rule in RULES.values()} == set(Witness)
    assert all(rule.seen for rule in RULES.values() if rule.witness is not Witness.GUESS), "who has seen it"
    assert {"reg_agent", "one_browser", "few_devices"} <= MANNERS, "two clients that break them work"
    assert not MANNERS & STRICT
    assert all(RULES[name].witness is Witness.GUESS for name in MANNERS)


async def test_g13_a_client_that_names_another_chrome_at_the_socket_than_at_the_token_is_let_in() -> None:
    async with strict() as box:
        page = Page(box)
        token = (await page.token(headers={"Accept-Language": "en,zh-CN;q=0.9"}))["data"]["accessToken"]
        async with page.socket(OLDER) as socket:
            assert (await socket.register(token, ua=REG["ua"].replace("146", "133")))["code"] == 200
            assert (await socket.ask("/!"))["code"] == 200
        assert (await page.call(NAV_API, {}))["ret"] == OK
        assert await bitten(box) == []


async def test_g13_a_client_that_makes_a_new_device_at_each_start_is_let_in() -> None:
    async with strict() as box:
        page = Page(box)
        for digit in "123456789A":
            assert (await page.token(f"{digit}{page.device_id[1:]}"))["ret"] == OK
        assert await bitten(box) == []


async def test_g13_a_visit_whose_calls_are_not_signed_gives_the_cookie_of_a_code() -> None:
    """XianYuApis posts two calls with an empty ``sign``: the first gives ``_m_h5_tk``, the second ``cookie2``."""
    async with strict() as box:
        page = Page(box)
        page.jar.clear()
        unsigned: dict[str, Any] = {"query": {"sign": "", "accountSite": None}}
        for api in (FEED_API, GAIA_API):
            async with box.http.post(
                f"{box.url}/h5/{api}/1.0/",
                params={"jsv": "2.7.2", "appKey": "34839810", "t": "1", "sign": "", "v": "1.0", "api": api},
                data={"data": "{}"},
                headers=page.headers | {"Cookie": page.cookie},
            ) as answer:
                for line in answer.headers.getall("set-cookie", []):
                    name, _, value = line.partition(";")[0].partition("=")
                    page.jar |= {name: value} if value else {}
        assert {"_m_h5_tk", "_m_h5_tk_enc", "cookie2"} <= page.jar.keys()
        assert code(await page.call(NAV_API, {}, **unsigned)) != "FAIL_SYS_ILLEGAL_ACCESS"
        assert await bitten(box) == []


async def test_g13_a_client_that_is_run_reaches_the_sandbox_under_the_sites_names_and_nothing_else(
    tmp_path: Path,
) -> None:
    checkout = tmp_path / "client"
    checkout.mkdir()
    (checkout / "main.py").write_text(
        "import json, socket, urllib.request\n"
        "page = urllib.request.urlopen('https://passport.goofish.com/mini_login.htm').status\n"
        "try:\n    socket.socket().connect(('203.0.113.7', 80))\n"
        "except PermissionError:\n    away = 'refused'\n"
        "print('FOUND', json.dumps({'page': page, 'away': away}))\n"
    )
    async with strict_site(tmp_path) as site, site.running("main.py", checkout) as program:
        assert await program.found() == {"page": 200, "away": "refused"}
        trial = Trial("client")
        await note_rules(site, trial)
    assert (trial.refused, set(trial.recorded)) == ({}, {"page_headers", "browser_agent", "fetch_metadata"})
    assert trial.violations == []


def test_g13_the_proof_says_which_clients_it_left_out(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Any
) -> None:
    for name in ("XIANYU_AUTO_AGENT", "XIANYU_APIS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("sys.argv", ["prove", "--figures", str(tmp_path / "figures.jsonl")])
    assert prove_other_clients.main() == 0
    told = capsys.readouterr().out
    assert [line.partition(",")[0] for line in told.splitlines()] == ["XianyuAutoAgent: skipped", "XianYuApis: skipped"]
