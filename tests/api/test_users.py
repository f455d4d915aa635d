"""People over the API: who may come in, and who may say so."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update

from shoal.auth.permission import Permission
from shoal.auth.users import Role
from shoal.storage.user_tables import users
from support.servers.doors import Door, another_person, client_of, open_door
from support.site.standins import cookie_of, until

PASSWORD = "a password of theirs"


def _without_times(person: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in person.items() if not name.endswith("_at")}


async def _invited(door: Door, **body: Any) -> dict[str, Any]:
    link: dict[str, Any] = await door.call("POST", "/invitations", json=body)
    return link


async def test_an_administrator_lists_adds_and_changes_people(door: Door) -> None:
    body = {"username": " Ann ", "password": PASSWORD, "email": "Ann@Example.com"}
    ann = await door.call("POST", "/users", json=body)
    assert _without_times(ann) == {
        "id": 2, "username": "Ann", "email": "ann@example.com", "role": "owner", "active": True, "leaving": False,
        "has_totp": False, "shops": 0,
    }  # fmt: skip
    listed = await door.call("GET", "/users")
    assert [(one["username"], one["role"], one["shops"]) for one in listed["items"]] == [
        ("admin", "admin", 1),
        ("Ann", "owner", 0),
    ]
    changed = await door.call("PATCH", "/users/2", json={"role": "staff", "email": None})
    assert (changed["role"], changed["email"], changed["username"]) == ("staff", None, "Ann")
    for body, code in (
        ({"username": "ANN", "password": PASSWORD}, "username_taken"),
        ({"username": "bob", "password": PASSWORD, "email": "x"}, "bad_email"),
        ({"username": "a@b", "password": PASSWORD}, "bad_username"),
        ({"username": "../x", "password": PASSWORD}, "bad_username"),
        ({"username": "bob", "password": "password1"}, "weak_password"),
        ({"username": "bob", "password": "bob-bob-bob"}, "weak_password"),
        ({"username": "bob", "password": "short"}, "bad_password"),
    ):
        answer = await door.client.post("/users", json=body)
        assert (answer.status_code in {409, 422}, answer.json()["code"]) == (True, code)
    assert (await door.call("PATCH", "/users/99", 404, json={}))["code"] == "unknown_person"
    assert (await door.call("PATCH", "/users/1", 409, json={"role": "owner"}))["code"] == "last_admin"


async def test_who_owns_a_shop_does_not_become_staff(door: Door) -> None:
    await door.call("POST", "/users", json={"username": "ann", "password": PASSWORD, "role": "admin"})
    refused = await door.call("PATCH", "/users/1", 409, json={"role": "staff"})
    assert (refused["code"], refused["params"]) == ("owns_shops", {"shops": ["shop"]})


async def test_nobody_else_learns_or_changes_anything_of_people(door: Door) -> None:
    async with another_person(door) as bob, client_of(door.app) as stranger:
        for method, path, body in (
            ("GET", "/users", None),
            ("POST", "/users", {"username": "x", "password": PASSWORD}),
            ("PATCH", "/users/2", {"role": "admin"}),
            ("POST", "/users/1/password-link", {}),
            ("GET", "/invitations", None),
            ("POST", "/invitations", {"role": "admin"}),
            ("DELETE", "/invitations/x", None),
        ):
            assert (await bob.client.request(method, path, json=body)).status_code == 403
            assert (await stranger.request(method, path, json=body)).status_code == 401
    assert Counter(one["role"] for one in (await door.call("GET", "/users"))["items"]) == {"admin": 1, "owner": 1}


async def test_an_invitation_lets_one_person_in_once(door: Door) -> None:
    link = await _invited(door, role="staff", email="ann@example.com")
    assert link["path"] == f"/console/join#{link['token']}"
    async with client_of(door.app) as stranger:
        answer = await stranger.post("/join/look", json={"token": link["token"]})
        assert answer.headers["cache-control"] == "no-store"
        seen = answer.json()
        assert (seen["kind"], seen["role"], seen["email"], seen["username"]) == (
            "invitation", "staff", "ann@example.com", None,
        )  # fmt: skip
        taken = {"token": link["token"], "username": "Admin", "password": PASSWORD}
        assert (await stranger.post("/join", json=taken)).json()["code"] == "username_taken"
        weak = {"token": link["token"], "username": "ann", "password": "ann@example.com"}
        assert (await stranger.post("/join", json=weak)).json()["code"] == "weak_password"
        mine = {"token": link["token"], "username": "ann", "password": PASSWORD}
        assert (await stranger.post("/join", json=mine)).json() == {
            "user_id": 2, "username": "ann", "shared": [], "skipped": [],
        }  # fmt: skip
        again = await stranger.post("/join", json={**mine, "username": "bob"})
        assert (again.status_code, again.json()["code"]) == (404, "unknown_invitation")
        assert (await stranger.post("/login", json={"email": "ann@example.com", "password": PASSWORD})).json()[
            "success"
        ]
    (listed,) = (await door.call("GET", "/invitations"))["items"]
    assert (listed["used_by"], listed["invited_by"]) == ("ann", "admin")
    assert "token" not in listed
    assert [one["role"] for one in (await door.call("GET", "/users"))["items"]] == ["admin", "staff"]


async def test_of_two_who_race_for_an_invitation_one_comes_in(door: Door) -> None:
    link = await _invited(door, role="owner")
    async with client_of(door.app) as stranger:
        answers = await asyncio.gather(
            *(
                stranger.post("/join", json={"token": link["token"], "username": f"racer{n}", "password": PASSWORD})
                for n in range(6)
            )
        )
    assert Counter(answer.status_code for answer in answers) == {200: 1, 404: 5}
    assert len(await door.server.users.list_users()) == 2


async def test_an_invitation_ends_when_it_is_revoked_or_its_administrator_is_none_any_more(door: Door) -> None:
    link = await _invited(door, role="owner")
    await door.call("DELETE", f"/invitations/{link['id']}")
    assert (await door.call("DELETE", f"/invitations/{link['id']}", 404))["code"] == "unknown_invitation"
    second = await door.server.users.create("second", PASSWORD, role=Role.ADMIN)
    token = await door.server.sessions.open(second.id)
    async with client_of(door.app, token) as other:
        theirs = (await other.post("/invitations", json={"role": "admin"})).json()["token"]
    await door.call("POST", "/join/look", json={"token": theirs})
    await door.call("PATCH", f"/users/{second.id}", json={"active": False})
    for gone in (link["token"], theirs, "guess", ""):
        assert (await door.call("POST", "/join/look", 404, json={"token": gone}))["code"] == "unknown_invitation"


async def test_a_link_for_a_new_password_ends_what_the_old_one_opened(door: Door) -> None:
    async with another_person(door) as bob:
        first = await door.call("POST", "/users/2/password-link", json={"expires_hours": 1})
        link = await door.call("POST", "/users/2/password-link", json={})
        assert (link["kind"], link["username"]) == ("password", "bob")
        await door.call("POST", "/join/look", 404, json={"token": first["token"]})
        assert (await door.call("POST", "/users/1/password-link", 409, json={}))["code"] == "own_password"
        script = (await bob.call("POST", "/tokens", json={"name": "a thief's"}))["token"]
        joined = await door.call("POST", "/join", json={"token": link["token"], "password": "quite another one"})
        assert (joined["user_id"], joined["username"]) == (2, "bob")
        await bob.call("GET", "/me", 401)
        await bob.call("GET", "/cookies", 401, headers={"Authorization": f"Bearer {script}"})
    login = {"username": "bob", "password": "quite another one"}
    third = await door.call("POST", "/users/2/password-link", json={})
    assert (await door.call("POST", "/login", json=login))["success"]
    await door.call("POST", "/join/look", 404, json={"token": third["token"]})  # who signs in needs it no more
    assert (await door.call("POST", "/users/99/password-link", 404, json={}))["code"] == "unknown_person"


async def test_a_person_sees_and_ends_the_own_sessions(door: Door) -> None:
    assert await door.call("GET", "/me") == {
        "id": 1, "username": "admin", "email": None, "role": "admin", "has_totp": False,
        "recovery_codes_left": 0,
    }  # fmt: skip
    async with another_person(door) as bob, another_person(door, "eve") as eve:
        here = await door.server.sessions.open(2, kind="console", user_agent="Mozilla", address="192.0.2.7")
        rows = (await bob.call("GET", "/sessions"))["items"]
        assert sorted((row["current"], row["kind"], row["user_agent"], row["address"]) for row in rows) == [
            (False, "console", "Mozilla", "192.0.2.7"),
            (True, "login", "", ""),
        ]
        other = next(row["id"] for row in rows if not row["current"])
        assert here not in str(rows)
        assert (await eve.call("DELETE", f"/sessions/{other}", 404))["code"] == "unknown_session"
        assert await bob.call("DELETE", f"/sessions/{other}") == {"ended": 1}
        assert await door.server.sessions.of(here) is None
        more = [await door.server.sessions.open(2) for _ in range(2)]
        assert await bob.call("DELETE", "/sessions") == {"ended": 2}
        assert [await door.server.sessions.of(token) for token in more] == [None, None]
        await bob.call("GET", "/me")
        await eve.call("GET", "/me")


async def test_everybody_changes_the_own_password_and_the_other_sessions_end(door: Door) -> None:
    async with another_person(door) as bob:
        other = await door.server.sessions.open(2)
        body = {"current_password": "wrong", "new_password": "quite another one"}
        assert (await bob.call("PUT", "/me/password", 403, json=body))["code"] == "wrong_password"
        body = {"current_password": PASSWORD, "new_password": "password123"}
        assert (await bob.call("PUT", "/me/password", 422, json=body))["code"] == "weak_password"
        assert await door.server.sessions.of(other) is not None
        body = {"current_password": PASSWORD, "new_password": "quite another one"}
        await bob.call("PUT", "/me/password", json=body)
        await bob.call("GET", "/me")
        assert await door.server.sessions.of(other) is None
        assert await door.server.users.verify("bob", "quite another one") is not None


async def test_who_is_deactivated_is_out_and_stays_out(door: Door) -> None:
    async with another_person(door) as bob:
        await bob.call("GET", "/me")
        await door.call("PATCH", "/users/2", json={"active": False})
        await bob.call("GET", "/me", 401)
        login = {"username": "bob", "password": PASSWORD}
        assert (await door.call("POST", "/login", json=login))["success"] is False
        await door.call("PATCH", "/users/2", json={"active": True})
        await bob.call("GET", "/me", 401)
        assert (await door.call("POST", "/login", json=login))["success"] is True


async def test_f12_api_tokens_of_somebody_who_was_deactivated_stay_dead(door: Door) -> None:
    async with another_person(door) as bob:
        token = (await bob.call("POST", "/tokens", json={"name": "a script"}))["token"]
        async with client_of(door.app, token) as script:
            assert (await script.get("/cookies")).status_code == 200
            await door.call("PATCH", "/users/2", json={"active": False})
            assert (await script.get("/cookies")).status_code == 401
            await door.call("PATCH", "/users/2", json={"active": True})
            assert (await script.get("/cookies")).status_code == 401
    back = await door.server.sessions.open(2, 3600)
    async with client_of(door.app, back) as again:
        assert (await again.get("/tokens")).json()["items"] == []
        made = (await again.post("/tokens", json={"name": "anew"})).json()["token"]
    async with client_of(door.app, made) as script:
        assert (await script.get("/cookies")).status_code == 200


async def test_f12_tokens_of_somebody_whom_an_older_version_deactivated_stay_dead(
    door: Door,
) -> None:
    async with another_person(door):
        token, _ = await door.server.api_tokens.make(2, "a script", Permission.READ, days=1)
        await door.server.database.write(
            lambda connection: connection.execute(update(users).where(users.c.id == 2).values(active=False)).rowcount
        )
        await door.call("PATCH", "/users/2", json={"active": True})
        async with client_of(door.app, token) as script:
            assert (await script.get("/cookies")).status_code == 401


async def test_a_password_is_judged_as_it_counts_however_wide_its_letters_are(door: Door) -> None:
    body = {"username": "ann", "password": "ｐａｓｓｗｏｒｄ１２３"}
    assert (await door.call("POST", "/users", 422, json=body))["code"] == "weak_password"
    short = {"username": "ann", "password": "ａ" + "\u0301" * 7}
    assert (await door.call("POST", "/users", 422, json=short))["code"] in {"bad_password", "weak_password"}


@pytest.mark.parametrize("why", ["zh", "en"])
async def test_a_weak_password_is_refused_with_a_sentence_that_helps(door: Door, why: str) -> None:
    body = {"username": "ann", "password": "qwertyuiop"}
    answer = await door.call("POST", "/users", 422, json=body, headers={"Accept-Language": why})
    assert answer["params"] in ({"why": "common"}, {"why": "keyboard"})
    assert ("密码管理器" if why == "zh" else "password manager") in answer["detail"]
    assert "qwerty" not in str(answer)


async def test_a_user_is_removed_twice_while_that_users_requests_run_and_no_answer_is_a_fault(door: Door) -> None:
    async with another_person(door, "eva", Role.ADMIN) as eva:
        me = (await eva.call("GET", "/me"))["id"]
        await eva.add("evas", 2)
        calls = [
            eva.client.post("/cookies", json={"id": "coming", "value": cookie_of(3)}),
            eva.client.post("/tokens", json={"name": "reader"}),
            eva.client.post("/goods", json={"name": "codes", "kind": "stock"}),
            eva.client.post("/me/totp", json={"password": PASSWORD}),
            eva.client.post("/login", json={"username": "eva", "password": PASSWORD}),
            eva.client.delete(f"/admin/users/{me}"),
            door.client.delete(f"/admin/users/{me}"),
            door.client.delete(f"/users/{me}"),
            door.client.patch(f"/users/{me}", json={"active": False}),
        ]
        answers = await asyncio.gather(*calls)
    assert [answer.text for answer in answers if answer.status_code >= 500] == []
    await until(lambda: not {"evas", "coming"} & set(door.server.manager.accounts))
    assert await door.server.user_removal.gone(me, within_seconds=60)
    assert await door.server.users.get(me) is None


async def test_g20_a_link_leads_where_its_reader_can_open_it(tmp_path: Path) -> None:
    """It began with the address that its maker had open: at the server itself 127.0.0.1."""
    async with open_door(tmp_path / "data", admin_password=PASSWORD, public_url="https://shop.example.com/") as door:
        await door.call("POST", "/users", json={"username": "ann", "password": PASSWORD})
        for path, body in (("/invitations", {"role": "staff"}), ("/users/2/password-link", {})):
            link = await door.call("POST", path, json=body)
            assert link["url"] == f"https://shop.example.com/console/join#{link['token']}"
