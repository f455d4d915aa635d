"""An account's proxy over the API: set with the account or later, shown without its password, never sent back."""

from __future__ import annotations

import json
from typing import Any

import pytest

from shoal.accounts.account import Account
from shoal.accounts.account_task import Link
from shoal.errors import TemporaryFailure
from support.servers.doors import Door, in_shell, served
from support.site.standins import cookie_of

PROXY = "socks5://ann:canaryproxy@127.0.0.1:1080"
SHOWN = "socks5://***@127.0.0.1:1080"
EN = {"Accept-Language": "en"}


async def test_a_proxy_is_there_before_the_first_connection(door: Door) -> None:
    seen: list[str] = []

    async def connect(account: Account, link: Link) -> None:
        seen.append(account.proxy)
        link.running()

    door.site.behave = connect
    await door.call("POST", "/cookies", json={"id": "two", "value": cookie_of(2), "proxy": PROXY})
    assert seen[0] == PROXY
    assert (await door.call("GET", "/cookies/two"))["desired"]["proxy"] == SHOWN


async def test_a_renewal_may_bring_a_proxy_in_the_same_change(door: Door) -> None:
    body = {"id": "shop", "value": cookie_of(1, secret="new"), "proxy": PROXY}
    before = door.account().generation
    await door.call("POST", "/cookies", json=body)
    account = door.account()
    assert (account.proxy, account.cookie_version, account.generation) == (PROXY, 2, before + 1)
    await door.call("POST", "/cookies", json={"id": "shop", "value": cookie_of(1, secret="newer")})
    assert door.account().proxy == PROXY, "a renewal without one keeps it"


async def test_another_proxy_renews_the_connection_and_null_takes_it_away(door: Door) -> None:
    answer = await door.call("PATCH", "/cookies/shop/settings", json={"proxy": PROXY})
    assert (answer["settings"]["proxy"], answer["state"]) == (SHOWN, "running")
    assert door.site.ever["shop"] == 2
    assert door.site.most_at_once["shop"] == 1
    await door.call("PATCH", "/cookies/shop/settings", json={"remark": "x"})
    assert (door.account().proxy, door.site.ever["shop"]) == (PROXY, 2)
    await door.call("PATCH", "/cookies/shop/settings", json={"proxy": None})
    assert (door.account().proxy, door.site.ever["shop"]) == ("", 3)


@pytest.mark.parametrize(
    ("proxy", "code"),
    [
        ("", "empty_secret"),
        (SHOWN, "masked_proxy"),
        ("ftp://h:1", "bad_proxy"),
        ("http://canaryproxy@h:1", "bad_proxy"),
    ],
)
@pytest.mark.parametrize("method", ["POST", "PATCH"])
async def test_what_cannot_be_a_proxy_changes_nothing(door: Door, method: str, proxy: str, code: str) -> None:
    body: dict[str, Any] = {"proxy": proxy} | ({"id": "two", "value": cookie_of(2)} if method == "POST" else {})
    path = "/cookies" if method == "POST" else "/cookies/shop/settings"
    answer = await door.call(method, path, 422, json=body, headers=EN)
    assert answer["code"] == code
    assert "canaryproxy" not in json.dumps(answer)
    assert list(door.server.manager.accounts) == ["shop"]
    assert door.account().proxy == ""


async def test_no_answer_history_or_file_holds_a_proxys_password(door: Door, capfd: pytest.CaptureFixture[str]) -> None:
    for number, proxy in enumerate([PROXY, PROXY.replace("1080", "1081"), None, PROXY]):
        answer = await door.client.patch(
            "/cookies/shop/settings", json={"proxy": proxy}, headers={"Idempotency-Key": f"k{number}"}
        )
        assert "canaryproxy" not in answer.text
    history = await door.call("GET", "/cookies/shop/history")
    assert history["items"][0]["changes"]["proxy"] == ["", SHOWN]
    undone = await door.call("POST", f"/history/{history['items'][0]['rev']}/undo", 422)
    assert undone["code"] == "not_undoable"
    for path in ("/cookies/shop", "/cookies/details", "/cookies/shop/diagnosis", "/cookie/shop/details", "/ops/k0"):
        assert "canaryproxy" not in (await door.client.get(path)).text
    raw = b"".join(path.read_bytes() for path in door.server.settings.data_dir.iterdir() if path.is_file())
    assert b"canaryproxy" not in raw
    written = capfd.readouterr()
    assert "canaryproxy" not in written.out + written.err


async def test_the_diagnosis_blames_the_proxy(door: Door) -> None:
    async def fail(account: Account, link: Link) -> None:
        raise TemporaryFailure("the proxy refuses (407)", code="proxy_refused")

    door.site.behave = fail
    await door.call("PATCH", "/cookies/shop/settings", json={"proxy": PROXY})
    body = await door.call("GET", "/cookies/shop/diagnosis", headers=EN)
    row = next(row for row in body["checks"] if row["name"] == "proxy")
    assert not row["ok"]
    assert SHOWN in row["detail"]
    assert "password" in row["do"]


async def test_the_shell_asks_for_a_proxy_and_shows_it_masked(door: Door) -> None:
    async with served(door) as url:
        token = door.client.headers["authorization"].removeprefix("Bearer ")
        code, said = await in_shell(url, token, "accounts", "proxy", "shop", typed=f"{PROXY}\n")
        assert code == 0
        assert said.startswith(f"shop connects through {SHOWN}.\nshop: running, won't answer (")
        assert door.account().proxy == PROXY
        code, said = await in_shell(url, token, "accounts", "proxy", "shop", typed="\n")
        assert code == 2
        code, said = await in_shell(url, token, "accounts", "proxy", "shop", "--none")
        assert code == 0
        assert said.startswith("shop connects directly.\nshop: running, won't answer (")
