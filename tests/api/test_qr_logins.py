"""QR logins over the API: begun, looked at, cancelled, owned; in both languages; and as old scripts know them."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from shoal.accounts.account import AccountState
from support.servers.doors import Door, another_person, client_of, in_shell, open_door, served
from support.site.sandboxed import Sandbox, standing_sandbox
from support.site.standins import until

EN = {"Accept-Language": "en"}


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    async with standing_sandbox() as standing:
        yield standing


@pytest.fixture
async def door(tmp_path: Path, sandbox: Sandbox) -> AsyncIterator[Door]:
    """A server whose passport is the sandbox's; its connections are invented."""
    async with open_door(tmp_path / "data", site_passport_url=sandbox.url, site_mtop_url=sandbox.url) as opened:
        opened.server.qr_logins._poll_seconds = 0.05
        yield opened


async def act(sandbox: Sandbox, login: dict[str, Any], status: str, number: int = 0) -> str:
    unb = list(sandbox.world.sellers.values())[number].unb
    key = login["content"].partition("lgToken=")[2].partition("&")[0]
    await sandbox.do("qr", ck=key, status=status, account=unb)
    return unb


async def over(door: Door, login: dict[str, Any], **headers: str) -> dict[str, Any]:
    async with asyncio.timeout(60):
        while True:
            seen: dict[str, Any] = await door.call("GET", f"/qr-logins/{login['id']}", headers=headers)
            if seen["state"] not in {"waiting", "scanned"}:
                return seen
            await asyncio.sleep(0.02)


async def test_a_login_shows_its_code_until_it_is_over(door: Door, sandbox: Sandbox) -> None:
    login = await door.call("POST", "/qr-logins", json={"account": "shop"}, headers=EN)
    assert login["detail"] == "Scan the code with the Xianyu app."
    assert login["picture"].startswith("data:image/svg+xml")
    assert login["expires_at"] > login["created_at"]
    assert (await door.call("GET", "/qr-logins"))["items"][0]["content"] == login["content"]
    await act(sandbox, login, "CONFIRMED")
    done = await over(door, login)
    assert (done["state"], done["account"], done["is_new_account"]) == ("done", "shop", True)
    assert (done["content"], done["picture"], done["detail"]) == ("", "", "登录成功，店铺已添加。")
    assert door.account("shop").unb == next(iter(sandbox.world.sellers))


async def test_a_token_for_other_shops_neither_sees_nor_ends_it(door: Door) -> None:
    await door.add("afu", 7)
    login = await door.call("POST", "/qr-logins", json={"account": "shop"})
    made = await door.call("POST", "/tokens", json={"name": "x", "scope": "manage", "accounts": ["afu"]})
    async with client_of(door.app, made["token"]) as client:
        script = Door(door.app, client, door.site)
        assert (await script.call("GET", "/qr-logins"))["items"] == []
        assert (await script.call("GET", f"/qr-login/check/{login['id']}"))["status"] == "not_found"
        for method in ("GET", "DELETE"):
            assert (await script.call(method, f"/qr-logins/{login['id']}", 404))["code"] == "unknown_qr_login"
    assert (await door.call("GET", f"/qr-logins/{login['id']}"))["state"] == "waiting"


async def test_risk_control_names_the_page(door: Door, sandbox: Sandbox) -> None:
    login = await door.call("POST", "/qr-logins", json={})
    await act(sandbox, login, "RISK")
    seen = await over(door, login, **EN)
    assert (seen["state"], seen["code"]) == ("needs_owner", "needs_owner")
    assert "identity_verify" in seen["action_url"]
    assert "verification" in seen["detail"]


async def test_a_failure_says_why_in_the_readers_language(door: Door, sandbox: Sandbox) -> None:
    first = await door.call("POST", "/qr-logins", json={"account": "shop"})
    await act(sandbox, first, "CONFIRMED")
    await over(door, first)
    login = await door.call("POST", "/qr-logins", json={"account": "shop"})
    await act(sandbox, login, "CONFIRMED", number=1)
    seen = await over(door, login, **EN)
    assert (seen["state"], seen["code"]) == ("failed", "other_unb")
    assert seen["detail"] != (await over(door, login))["detail"]


async def test_logins_belong_to_who_began_them(door: Door) -> None:
    login = await door.call("POST", "/qr-logins", json={})
    async with another_person(door) as bob:
        assert (await bob.call("GET", "/qr-logins"))["items"] == []
        for method in ("GET", "DELETE"):
            assert (await bob.call(method, f"/qr-logins/{login['id']}", 404))["code"] == "unknown_qr_login"
        assert (await bob.call("GET", f"/qr-login/check/{login['id']}"))["status"] == "not_found"
    assert (await door.call("DELETE", f"/qr-logins/{login['id']}"))["state"] == "cancelled"
    for path in ("/qr-logins", "/qr-login/generate"):
        assert (await door.client.post(path, json={}, headers={"Authorization": "Bearer x"})).status_code == 401


async def test_too_many_and_bad_wishes_are_refused(door: Door) -> None:
    for body, status in (({"account": "a/b"}, 422), ({"proxy": "ftp://h:1"}, 422), ({"nothing": 1}, 422)):
        await door.call("POST", "/qr-logins", status, json=body)
    for _ in range(3):
        await door.call("POST", "/qr-logins", json={})
    assert (await door.call("POST", "/qr-logins", 409, json={}))["code"] == "too_many_qr_logins"


async def test_a_site_that_does_not_answer_is_no_defect_of_ours(tmp_path: Path) -> None:
    async with open_door(tmp_path / "data") as door:
        assert (await door.call("POST", "/qr-logins", 503, json={}))["code"] == "qr_login_failed"
        old = await door.call("POST", "/qr-login/generate", json={}, headers=EN)
        assert (old["success"], old["session_id"]) == (False, "")
        assert "not understood" in old["message"]


async def test_old_scripts_find_their_words(door: Door, sandbox: Sandbox) -> None:
    code = await door.call("POST", "/qr-login/generate")
    assert code["success"] is True
    head, _, data = code["qr_code_url"].partition(",")
    assert head == "data:image/png;base64"
    assert base64.b64decode(data).startswith(b"\x89PNG")
    path = f"/qr-login/check/{code['session_id']}"
    assert (await door.call("GET", path))["status"] == "waiting"
    unb = next(iter(sandbox.world.sellers))
    await sandbox.do("qr", status="CONFIRMED", account=unb)
    async with asyncio.timeout(60):
        while (seen := await door.call("GET", path))["status"] != "success":
            await asyncio.sleep(0.02)
    assert seen["account_info"] == {"account_id": unb, "is_new_account": True}


async def test_a13_a_renewal_by_qr_whose_connection_stops_slowly_holds_up_nobody(door: Door, sandbox: Sandbox) -> None:
    login = await door.call("POST", "/qr-logins", json={"account": "shop"})
    await act(sandbox, login, "CONFIRMED")
    await over(door, login)
    await until(lambda: door.server.manager.observation("shop").state is AccountState.RUNNING)
    released = door.site.hold_farewells()
    renewal = await door.call("POST", "/qr-logins", json={"account": "shop"})
    await act(sandbox, renewal, "CONFIRMED")
    assert (await over(door, renewal))["state"] == "done"
    await door.call("GET", "/health/live")
    await door.call("GET", "/cookies")
    assert door.server.manager.observation("shop").state is AccountState.STOPPING, "the old one is still going"
    released.set()
    await until(lambda: door.server.manager.observation("shop").state is AccountState.RUNNING)
    assert door.site.most_at_once["shop"] == 1


async def test_neither_code_nor_cookie_is_stored_logged_or_told_to_others(
    door: Door, sandbox: Sandbox, capfd: pytest.CaptureFixture[str]
) -> None:
    login = await door.call("POST", "/qr-logins", json={"account": "shop"}, headers={"Idempotency-Key": "k"})
    key = login["content"].partition("lgToken=")[2].partition("&")[0]
    unb = await act(sandbox, login, "CONFIRMED")
    done = await over(door, login)
    cookie = door.account("shop").cookie
    secrets = [key, *(part.partition("=")[2] for part in cookie.split("; ") if not part.startswith("unb="))]
    answers = [done, await door.call("GET", "/cookies/shop/history"), await door.call("GET", "/cookies/shop")]
    raw = b"".join(path.read_bytes() for path in door.server.settings.data_dir.iterdir() if path.is_file())
    written = capfd.readouterr()
    told = json.dumps(answers) + written.out + written.err
    assert unb in told
    for secret in secrets:
        if len(secret) > 6:
            assert secret.encode() not in raw
            assert secret not in told


async def test_the_shell_draws_the_code_and_follows_the_login(door: Door, sandbox: Sandbox) -> None:
    async with served(door) as url:
        token = door.client.headers["authorization"].removeprefix("Bearer ")
        drawn = asyncio.create_task(in_shell(url, token, "accounts", "qr", "shop", "--keep-signed-in"))
        await until(lambda: bool(door.server.qr_logins.of(1)), seconds=60)
        await sandbox.do("qr", status="CONFIRMED", account=next(iter(sandbox.world.sellers)))
        code, said = await drawn
        assert code == 0, said
        assert "▄" in said
        calls = [line["api"] for line in (await sandbox.get("calls"))["items"]]
        assert len([api for api in calls if api.endswith("setLoginSettings.do")]) == 1
        assert "shop has its new cookie.\nshop: running, won't answer (" in said
        refused = asyncio.create_task(in_shell(url, token, "accounts", "qr", "shop"))
        await until(lambda: not door.server.qr_logins.of(1)[0].state.is_over, seconds=60)
        await sandbox.do("qr", status="RISK", account=next(iter(sandbox.world.sellers)))
        code, said = await refused
        assert code == 1
        assert "identity_verify" in said
