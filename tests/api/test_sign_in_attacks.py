"""An attacker of the sign-in learns nothing, gets in nowhere, and harms no signed-in user."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path
from typing import Any

import httpx
import pytest
from argon2 import PasswordHasher

from shoal.auth.login_throttle import LoginThrottle, Windows
from shoal.auth.passwords import Passwords
from shoal.errors import NotApplied
from shoal.storage.database import Database
from support.servers.doors import Door, another_person, client_of, layered, open_door

PASSWORD = "a password of theirs"


class Counting:
    """A hasher that counts what it is asked."""

    def __init__(self, real: PasswordHasher) -> None:
        self._real = real
        self._calls: Counter[str] = Counter()

    def __getattr__(self, name: str) -> Any:
        self._calls[name] += 1
        return getattr(self._real, name)

    def taken(self) -> dict[str, int]:
        """What it was asked since this was asked last."""
        found = dict(self._calls)
        self._calls.clear()
        return found


async def test_nobody_learns_by_signing_in_who_is_there(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same status, body and work for an unknown name, a wrong password, and a person who may not sign in."""
    async with another_person(door), another_person(door, "eve"):
        await door.call("PATCH", "/users/3", json={"active": False})
        await door.call("POST", "/login", json={"username": "warm", "password": "up"})
        pool = door.server.users._passwords
        counting = Counting(pool._hasher)
        monkeypatch.setattr(pool, "_hasher", counting)
        seen = []
        for name, password in (
            ("bob", "wrong"),
            ("nobody", "wrong"),
            ("eve", "wrong"),
            ("eve", PASSWORD),
            ("nobody@example.com", "wrong"),
            ("x" * 5_000, "wrong"),
            ("", "wrong"),
            ("bob", "x" * 1_000_000),
            ("nobody", "x" * 1_000_000),
        ):
            answer = await door.client.post("/login", json={"username": name or " ", "password": password})
            seen.append((answer.status_code, answer.text, counting.taken()))
        assert {(status, text, str(work)) for status, text, work in seen} == {
            (200, seen[0][1], str({"verify": 1})),
        }  # fmt: skip


async def test_who_must_wait_is_told_the_same_whether_or_not_the_name_is_known(door: Door) -> None:
    async with another_person(door):
        told = {}
        for name in ("bob", "nobody"):
            for _ in range(5):
                await door.call("POST", "/login", json={"username": name, "password": "wrong"})
            answer = await door.call("POST", "/login", json={"username": name, "password": PASSWORD})
            told[name] = {**answer, "message": answer["message"].translate({ord(digit): "0" for digit in "0123456789"})}
        assert told["bob"] == told["nobody"]
        assert (told["bob"]["success"], told["bob"]["code"]) == (False, "too_many_attempts")


async def test_a_person_is_counted_once_by_name_and_by_address(door: Door) -> None:
    async with another_person(door):
        await door.call("PATCH", "/users/2", json={"email": "bob@example.org"})
        told = [
            (await door.call("POST", "/login", json={how: who, "password": "wrong"}))["code"]
            for how, who in [("username", "bob"), ("email", "bob@example.org")] * 3
        ]
    assert told == ["wrong_login"] * 5 + ["too_many_attempts"]


async def test_a_delay_is_told_with_a_time_and_touches_no_session_in_use(tmp_path: Path) -> None:
    async with open_door(tmp_path / "data", allow_plain_http=True) as door, another_person(door) as bob:
        origin = {"Origin": "http://localhost:8080"}
        transport = httpx.ASGITransport(app=layered(door.app), client=("198.51.100.9", 1))
        async with httpx.AsyncClient(transport=transport, base_url=origin["Origin"], headers=origin) as thief:
            answers = [
                await thief.post("/console/session", json={"name": "bob", "password": f"guess {n}"}) for n in range(7)
            ]
        assert [answer.status_code for answer in answers] == [401] * 5 + [429] * 2
        assert 0 < int(answers[-1].headers["retry-after"]) <= 60
        assert answers[-1].json()["code"] == "too_many_attempts"
        await bob.call("GET", "/me")
        await bob.add("bobs", 2)


async def test_the_owner_signs_in_from_where_they_came_before_while_a_stranger_guesses(tmp_path: Path) -> None:
    """Also after a restart, which forgets what was counted in memory: the security log remembers the places."""
    data = tmp_path / "data"
    login = {"username": "bob", "password": PASSWORD}

    def at(door: Door, address: str) -> httpx.AsyncClient:
        transport = httpx.ASGITransport(app=layered(door.app), client=(address, 1))
        return httpx.AsyncClient(transport=transport, base_url="https://shoal.test")

    async with open_door(data) as door, another_person(door), at(door, "192.0.2.7") as home:
        assert (await home.post("/login", json=login)).json()["success"]
    async with open_door(data) as door, at(door, "198.51.100.9") as thief, at(door, "192.0.2.7") as home:
        for _ in range(6):
            last = await thief.post("/login", json={**login, "password": "guess"})
        assert last.json()["code"] == "too_many_attempts"
        assert (await home.post("/login", json=login)).json()["success"]


async def test_a_flood_of_sign_ins_is_turned_away_and_the_server_stays_there_for_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_door(tmp_path / "data") as door:
        endless = Windows(address="10000/second", user="10000/second")
        pool = Passwords(waiting_limit=4)  # the real cost of a password
        monkeypatch.setattr(door.server.users, "_passwords", pool)
        monkeypatch.setattr(door.server.login, "delays", LoginThrottle(endless))
        login = {"username": "admin", "password": "guess"}
        flood = [asyncio.create_task(door.client.post("/login", json=login)) for _ in range(60)]
        await asyncio.sleep(0)
        answers = 0
        while not all(task.done() for task in flood):
            await door.call("GET", "/cookies")
            answers += 1
        codes = Counter(task.result().json()["code"] for task in flood)
        assert codes["too_many_attempts"] > 0
        assert codes["wrong_login"] > 0
        assert set(codes) == {"too_many_attempts", "wrong_login"}
        assert answers > 0
        assert pool._room == 4  # every place was given back
        await pool.close()


async def test_a_full_disk_throws_nobody_out_and_lets_in_by_the_same_checks(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with another_person(door) as bob:
        session = await door.server.sessions.of(str(bob.client.headers["authorization"]).removeprefix("Bearer "))
        assert session is not None
        later = session.last_used_ms + 600_000
        monkeypatch.setattr(door.server.sessions, "_now_ms", lambda: later)

        async def full(job: Any) -> Any:
            raise NotApplied("the database refused: the disk is full", reason="full")

        with monkeypatch.context() as patch:
            patch.setattr(door.server.database, "write", full)
            await bob.call("GET", "/cookies")  # its last use cannot be stored, and need not be
            await bob.call("GET", "/me")
            wrong = await door.call("POST", "/login", json={"username": "bob", "password": "a wrong one"})
            assert not wrong["success"]
            assert (await door.call("POST", "/login", json={"username": "bob", "password": PASSWORD}))["success"]
            answer = await bob.client.put(
                "/me/password", json={"current_password": PASSWORD, "new_password": "quite another 41 words"}
            )
            assert (answer.status_code, answer.json()["code"]) == (503, "not_applied")
            assert "retry-after" in answer.headers
        with monkeypatch.context() as patch:  # an unknown commit: nothing is written at all
            patch.setattr(Database, "degraded", property(lambda _: True))
            patch.setattr(door.server.database, "write", full)
            await bob.call("GET", "/cookies")
        assert (await door.call("POST", "/login", json={"username": "bob", "password": PASSWORD}))["success"]


async def test_a_token_that_was_planted_before_the_sign_in_opens_nothing_after_it(door: Door) -> None:
    """Session fixation: the browser gets a new token, and the one it had is over."""
    planted = await door.server.sessions.open(1, kind="console")
    async with another_person(door):
        origin = "http://localhost:8080"
        transport = httpx.ASGITransport(app=layered(door.app), client=("127.0.0.1", 1))
        async with httpx.AsyncClient(transport=transport, base_url=origin, headers={"Origin": origin}) as browser:
            answer = await browser.post(
                "/console/session",
                json={"name": "bob", "password": PASSWORD},
                headers={"Cookie": f"shoal_session={planted}"},
            )
            fresh = answer.cookies["shoal_session"]
        assert fresh != planted
        assert await door.server.sessions.of(planted) is None
        session = await door.server.sessions.of(fresh)
        assert session is not None
        assert session.user.username == "bob"


async def test_guessing_tokens_of_links_is_slowed_down(door: Door) -> None:
    link = await door.call("POST", "/invitations", json={"role": "admin"})
    async with client_of(door.app) as stranger:
        answers = [await stranger.post("/join/look", json={"token": f"guess{number}"}) for number in range(12)]
        assert [answer.status_code for answer in answers] == [404] * 10 + [429] * 2
        used = {"token": link["token"], "username": "x", "password": PASSWORD}
        assert (await stranger.post("/join", json=used)).status_code == 429


async def test_probing_names_at_the_registration_is_slowed_down(tmp_path: Path) -> None:
    async with open_door(tmp_path, open_registration=True) as door, client_of(door.app) as stranger:
        taken = {
            "username": "admin",
            "email": "a@example.org",
            "password": "a password of mine",
            "verification_code": "",
        }
        answers = [await stranger.post("/register", json=taken) for _ in range(12)]
        assert [answer.status_code for answer in answers] == [409] * 10 + [429] * 2


async def test_f12_who_signed_in_lately_comes_in_while_others_guess_from_the_same_address(tmp_path: Path) -> None:
    """Those who share an address with somebody who attacks, also where the attack is on their own name."""
    base = "http://localhost:8080"

    def page(door: Door) -> httpx.AsyncClient:
        transport = httpx.ASGITransport(app=layered(door.app), client=("127.0.0.1", 1))
        return httpx.AsyncClient(transport=transport, base_url=base, headers={"Origin": base})

    right = {"name": "bob", "password": PASSWORD}
    async with open_door(tmp_path / "data") as door, another_person(door), page(door) as home, page(door) as thief:
        first = await home.post("/console/session", json=right)
        assert first.status_code == 200
        assert "bob" not in home.cookies["shoal_device"]
        await home.delete("/console/session")
        assert "shoal_session" not in home.cookies
        for number in range(12):
            last = await thief.post("/console/session", json={"name": f"x{number}", "password": "guess"})
        assert last.status_code == 429
        assert (await thief.post("/console/session", json={"name": "eve", "password": "guess"})).status_code == 429
        script = await door.client.post("/login", json={"username": "bob", "password": PASSWORD})
        assert script.json()["success"], "bob was here"
        for _ in range(6):
            last = await thief.post("/console/session", json={**right, "password": "guess"})
        assert (await thief.post("/console/session", json=right)).status_code == 429
        assert (await home.post("/console/session", json=right)).status_code == 200, "this browser was bob's"


async def test_f12_wrong_tokens_and_keys_are_counted_and_noted_and_hold_no_right_one_up(door: Door) -> None:
    hook = {"cookie_id": "shop", "chat_id": "1", "to_user_id": "2", "message": "hello"}
    right = door.client.headers["authorization"].removeprefix("Bearer ")
    async with client_of(door.app, "wrong") as thief, client_of(door.app) as anybody:
        statuses = [(await thief.get(path)).status_code for path in ("/cookies", "/verify", "/me") * 4]
        assert statuses == [401, 200, 401] * 3 + [401, 429, 429]
        assert int((await thief.get("/cookies")).headers["retry-after"]) > 0
        assert (await anybody.post("/send-message", json={**hook, "api_key": "wrong"})).status_code == 429
        answer = await anybody.post("/send-message", json={**hook, "api_key": right, "cookie_id": "none"})
        assert (answer.status_code, answer.json()["message"]) == (200, "账号实例不存在或未连接，请检查账号状态")
        assert (
            await thief.post("/send-message", json={**hook, "api_key": right, "cookie_id": "none"})
        ).status_code == 200
        assert (await thief.post("/login", json={"username": "admin", "password": "x"})).json()["code"] == "wrong_login"
        assert (await anybody.get("/cookies")).status_code == 401
    await door.call("GET", "/cookies")
    notes = (await door.call("GET", "/security-log?kind=refused_token"))["items"]
    told = {(note["outcome"], note["times"], note["origin"].partition(" ")[0]) for note in notes}
    assert ("wrong_token", 10, "api") in told
    assert len(notes) == 2, notes


async def test_f12_old_scripts_hear_of_a_wrong_key_as_before_until_they_guess(door: Door) -> None:
    hook = {"cookie_id": "shop", "chat_id": "1", "to_user_id": "2", "message": "hello", "api_key": "wrong"}
    async with client_of(door.app) as anybody:
        for _ in range(10):
            answer = await anybody.post("/send-message", json=hook)
            assert (answer.status_code, answer.json()["message"]) == (200, "API秘钥验证失败")
        assert (await anybody.post("/send-message", json=hook)).status_code == 429
    notes = (await door.call("GET", "/security-log?kind=refused_token"))["items"]
    assert {(note["outcome"], note["times"]) for note in notes} == {("wrong_key", 10), ("too_many_attempts", 1)}


async def test_f12_a_browser_whose_sign_in_has_ended_is_led_to_sign_in_however_often_it_asks(door: Door) -> None:
    async with client_of(door.app) as browser:
        browser.cookies.set("shoal_session", "over")
        assert {(await browser.get("/cookies")).status_code for _ in range(15)} == {401}
    assert (await door.call("GET", "/security-log?kind=refused_token"))["items"] == []
