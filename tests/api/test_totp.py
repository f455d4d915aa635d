"""The second factor over the API: set up in two steps, asked after a right password, and no code counts twice."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from typing import Any

import httpx
import pyotp
import pytest

from shoal.auth import totp
from support.servers.doors import Door, another_person, client_of, layered

PASSWORD = "a password of theirs"
LOGIN = {"username": "bob", "password": PASSWORD}


class Phone:
    """An authenticator app, with a clock that the test turns."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = int(time.time())
        self.secret = ""
        self._patch = monkeypatch

    def code(self, *, later: int = 30) -> str:
        """The code of now, after so many seconds."""
        self.now += later
        return pyotp.TOTP(self.secret).at(self.now)


@pytest.fixture
def phone(monkeypatch: pytest.MonkeyPatch, door: Door) -> Phone:
    app = Phone(monkeypatch)
    monkeypatch.setattr(door.server.totp, "_now_ms", lambda: app.now * 1000)
    return app


async def _switch_on(bob: Door, phone: Phone) -> list[str]:
    seed = await bob.call("POST", "/me/totp", json={"password": PASSWORD})
    phone.secret = seed["secret"]
    codes: list[str] = (await bob.call("POST", "/me/totp/confirm", json={"code": phone.code()}))["recovery_codes"]
    return codes


async def _login(door: Door, **more: Any) -> dict[str, Any]:
    answer: dict[str, Any] = await door.call("POST", "/login", json={**LOGIN, **more})
    return answer


async def test_it_is_set_up_in_two_steps_and_asked_only_after_a_right_password(door: Door, phone: Phone) -> None:
    async with another_person(door) as bob:
        other = await door.server.sessions.open(2)
        assert (await bob.call("POST", "/me/totp", 403, json={"password": "wrong"}))["code"] == "wrong_password"
        assert (await bob.call("POST", "/me/totp/confirm", 409, json={"code": "000000"}))["code"] == "totp_not_begun"
        answer = await bob.client.post("/me/totp", json={"password": PASSWORD})
        assert answer.headers["cache-control"] == "no-store"
        seed = answer.json()
        assert seed["uri"].startswith("otpauth://totp/Shoal:bob?secret=" + seed["secret"])
        assert seed["picture"].startswith("data:image/svg+xml")
        assert (await _login(door))["success"]  # it does not count before it was confirmed
        phone.secret = seed["secret"]
        assert (await bob.call("POST", "/me/totp/confirm", 403, json={"code": "000000"}))["code"] == "wrong_totp"
        codes = (await bob.call("POST", "/me/totp/confirm", json={"code": phone.code()}))["recovery_codes"]
        assert len(set(codes)) == 10
        assert await door.server.sessions.of(other) is None
        me = await bob.call("GET", "/me")
        assert (me["has_totp"], me["recovery_codes_left"]) == (True, 10)
    for wrong in ({"password": "x"}, {"password": "x", "totp": phone.code()}):
        assert (await _login(door, **wrong))["code"] == "wrong_login"
    first = await _login(door)
    assert (first["success"], first["code"], first["token"]) == (False, "totp_needed", None)
    assert "6 位" in first["message"]
    assert (await _login(door, totp="000000"))["code"] == "wrong_totp"
    assert (await _login(door, totp=phone.code()))["success"]
    assert (await _login(door, verification_code=phone.code()))["success"]
    raw = b"".join(path.read_bytes() for path in door.server.settings.data_dir.iterdir() if path.is_file())
    for secret in (phone.secret, codes[0], codes[0].replace("-", "")):
        assert secret.encode() not in raw


async def test_the_console_asks_for_the_code_too(door: Door, phone: Phone) -> None:
    async with another_person(door) as bob:
        await _switch_on(bob, phone)
    transport = httpx.ASGITransport(app=layered(door.app), client=("127.0.0.1", 1))
    page = {"Origin": "http://localhost:8080"}
    async with httpx.AsyncClient(transport=transport, base_url=page["Origin"], headers=page) as browser:
        body = {"name": "bob", "password": PASSWORD}
        first = await browser.post("/console/session", json=body)
        assert (first.status_code, first.json()["code"]) == (401, "totp_needed")
        assert "set-cookie" not in first.headers
        wrong = await browser.post("/console/session", json={**body, "totp": "000000"})
        assert (wrong.status_code, wrong.json()["code"]) == (401, "wrong_totp")
        assert (await browser.post("/console/session", json={**body, "totp": phone.code()})).status_code == 200
        assert (await browser.get("/me")).json()["username"] == "bob"


async def test_a_code_counts_once_also_when_two_use_it_at_once(door: Door, phone: Phone) -> None:
    async with another_person(door) as bob:
        seed_code = await _switch_on(bob, phone)
        assert seed_code
    confirmed = pyotp.TOTP(phone.secret).at(phone.now)
    assert (await _login(door, totp=confirmed))["code"] == "wrong_totp"  # the one that switched it on
    code = phone.code()
    answers = await asyncio.gather(*(_login(door, totp=code) for _ in range(4)))
    assert Counter(answer["success"] for answer in answers) == {True: 1, False: 3}
    assert (await _login(door, totp=code))["code"] == "wrong_totp"
    newer = phone.code(later=60)
    assert (await _login(door, totp=newer))["success"]
    earlier = pyotp.TOTP(phone.secret).at(phone.now - 30)
    assert (await _login(door, totp=earlier))["code"] == "wrong_totp"


@pytest.mark.parametrize(("steps", "taken"), [(-3, 0), (-2, 0), (-1, 1), (1, 1), (2, 0), (3, 0)])
async def test_f4_a_code_counts_one_step_before_and_after_its_own_and_no_further(
    door: Door, phone: Phone, steps: int, taken: int
) -> None:
    async with another_person(door) as bob:
        await _switch_on(bob, phone)
    phone.now += 3600
    code = pyotp.TOTP(phone.secret).at(phone.now + 30 * steps)
    assert (await _login(door, totp=code))["success"] is bool(taken)


async def test_f4_a_used_code_counts_for_no_later_factor_either(
    door: Door, phone: Phone, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who saw a code being typed cannot set up a factor of the same seed by it after the first was taken away."""
    async with another_person(door) as bob:
        await _switch_on(bob, phone)
        used = phone.code()
        assert (await _login(door, totp=used))["success"]
        await door.server.totp.take_away(2)
        monkeypatch.setattr(pyotp, "random_base32", lambda: phone.secret)
        await bob.call("POST", "/me/totp", json={"password": PASSWORD})
        assert (await bob.call("POST", "/me/totp/confirm", 403, json={"code": used}))["code"] == "wrong_totp"
        await bob.call("POST", "/me/totp/confirm", json={"code": phone.code()})


async def test_another_process_does_not_take_the_same_code_again(door: Door, phone: Phone) -> None:
    async with another_person(door) as bob:
        await _switch_on(bob, phone)
    mine = door.server.totp
    other = totp.Totp(mine._database, mine._vault, now_ms=lambda: phone.now * 1000)
    code = phone.code()
    took = await asyncio.gather(mine.accept(2, code), other.accept(2, code))
    assert Counter(took) == {None: 1, totp.Factor.TOTP: 1}


async def test_a_recovery_code_opens_once_however_it_is_typed(door: Door, phone: Phone) -> None:
    async with another_person(door) as bob:
        codes = await _switch_on(bob, phone)
    answers = await asyncio.gather(*(_login(door, totp=codes[0].upper()) for _ in range(3)))
    assert Counter(answer["success"] for answer in answers) == {True: 1, False: 2}
    assert (await _login(door, totp=codes[1].replace("-", " ")))["success"]
    told = (await door.call("GET", "/security-log"))["items"]
    assert sum(note["times"] for note in told if note["kind"] == "recovery_code_used") == 2
    async with client_of(door.app, (await _login(door, totp=phone.code()))["token"]) as client:
        assert (await client.get("/me")).json()["recovery_codes_left"] == 8
        body = {"password": PASSWORD, "code": phone.code()}
        fresh = (await client.post("/me/recovery-codes", json=body)).json()["recovery_codes"]
        again = await client.post("/me/recovery-codes", json=body)
        assert (again.status_code, again.json()["code"]) == (403, "wrong_totp")
    assert not (await _login(door, totp=codes[2]))["success"]
    assert (await _login(door, totp=fresh[9]))["success"]


async def test_it_is_taken_away_by_password_and_code_or_by_an_administrator(door: Door, phone: Phone) -> None:
    async with another_person(door) as bob:
        codes = await _switch_on(bob, phone)
        assert (await bob.call("POST", "/me/totp", 409, json={"password": PASSWORD}))["code"] == "totp_on"
        for body, code in (
            ({"password": "x", "code": codes[0]}, "wrong_password"),
            ({"password": PASSWORD, "code": "000000"}, "wrong_totp"),
            ({"password": PASSWORD, "code": ""}, "wrong_totp"),
        ):
            assert (await bob.call("DELETE", "/me/totp", 403, json=body))["code"] == code
        off = await bob.call("DELETE", "/me/totp", json={"password": PASSWORD, "code": codes[0]})
        assert (off["has_totp"], off["recovery_codes_left"]) == (False, 0)
        assert (await _login(door))["success"]
        codes = await _switch_on(bob, phone)
        await bob.call("DELETE", "/users/2/totp", 403)
        assert (await door.call("DELETE", "/users/2/totp"))["has_totp"] is False
        await bob.call("GET", "/me", 401)
    assert (await _login(door))["success"]
    assert (await door.call("DELETE", "/users/1/totp", 409))["code"] == "own_totp"
    notes = (await door.call("GET", "/security-log?limit=200"))["items"]
    kinds = [kind for note in notes for kind in [note["kind"]] * note["times"]]
    assert Counter(kind for kind in kinds if kind.startswith(("totp", "recovery"))) == {
        "totp_on": 2, "totp_off": 2, "recovery_code_used": 1,
    }  # fmt: skip


async def test_what_ends_or_renews_a_factor_says_when_there_is_none(door: Door) -> None:
    body = {"password": PASSWORD, "code": "000000"}
    async with another_person(door) as bob:
        for method, path in (("DELETE", "/me/totp"), ("POST", "/me/recovery-codes")):
            assert (await bob.call(method, path, 409, json=body))["code"] == "totp_off"
        assert (await bob.call("GET", "/me"))["has_totp"] is False


async def test_a_code_of_one_person_is_none_of_another(door: Door, phone: Phone) -> None:
    async with another_person(door) as bob, another_person(door, "eve") as eve:
        await _switch_on(bob, phone)
        bobs = phone.secret
        await _switch_on(eve, phone)
        phone.secret = bobs
    answer = await door.call("POST", "/login", json={**LOGIN, "username": "eve", "totp": phone.code()})
    assert answer["code"] == "wrong_totp"


async def test_who_has_the_password_and_guesses_codes_is_counted_wherever_they_come_from(
    door: Door, phone: Phone
) -> None:
    async with another_person(door) as bob:
        await _switch_on(bob, phone)
    seen: Counter[str] = Counter()
    for number in range(4):
        transport = httpx.ASGITransport(app=layered(door.app), client=(f"198.51.100.{number}", 1))
        async with httpx.AsyncClient(transport=transport, base_url="https://shoal.test") as thief:
            for guess in range(3):
                answer = await thief.post("/login", json={**LOGIN, "totp": f"{number}{guess}0000"})
                seen[answer.json()["code"]] += 1
    assert seen == {"wrong_totp": 5, "too_many_attempts": 7}
