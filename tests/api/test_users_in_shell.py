"""People from the shell: over the API, and on the machine itself for who is locked out."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pyotp
import pytest

from shoal.auth import account_recovery as user_rescue
from shoal.config import Settings
from shoal.errors import ConfigError
from support.servers.doors import another_person, client_of, in_shell, open_door, served
from support.site.standins import quick_settings

PASSWORD = "a password of theirs"


async def test_people_are_listed_invited_and_removed_by_commands(tmp_path: Path) -> None:
    async with open_door(tmp_path / "data") as door, another_person(door) as bob, served(door) as url:
        await bob.add("bobs", 2)
        token = await door.server.sessions.open(1)
        code, said = await in_shell(url, token, "users", "invite", "staff", "--email", "ann@example.com")
        assert code == 0
        link = re.search(rf"{url}/console/join#(\S+)", said)
        assert link
        assert "this machine alone" in said
        async with client_of(door.app) as ann:
            body = {"token": link[1], "username": "Ann", "password": PASSWORD}
            assert (await ann.post("/join", json=body)).json()["username"] == "Ann"
        code, said = await in_shell(url, token, "users", "list")
        assert code == 0
        assert re.search(r"^bob +owner +1 ", said, re.MULTILINE)
        assert re.search(r"^Ann +staff +0 .*ann@example.com", said, re.MULTILINE)
        code, said = await in_shell(url, token, "users", "list", "--json")
        assert (code, [one["username"] for one in json.loads(said)]) == (0, ["admin", "bob", "Ann"])
        code, said = await in_shell(url, token, "users", "remove", "BOB", "--yes")
        assert (code, said.strip()) == (0, "bob was removed.")
        assert door.site.live["bobs"] == 0


async def test_an_invitation_from_the_shell_names_shops(tmp_path: Path) -> None:
    async with open_door(tmp_path / "data") as door, served(door) as url:
        await door.add("mine", 2)
        token = await door.server.sessions.open(1)
        named = ("--account", "mine", "--account", "mine", "--permission", "operate")
        code, said = await in_shell(url, token, "users", "invite", "staff", *named)
        assert code == 0
        link = re.search(rf"{url}/console/join#(\S+)", said)
        assert link
        async with client_of(door.app) as ann:
            body = {"token": link[1], "username": "Ann", "password": PASSWORD}
            assert (await ann.post("/join", json=body)).is_success
        (staff,) = door.server.authorization.staff_of(door.account("mine"))
        assert staff.permission.word == "operate"
        code, said = await in_shell(url, token, "users", "invite", "staff", "--account", "nobodys")
        assert code != 0


async def test_who_owns_the_machine_lets_the_locked_out_in_again_while_the_server_runs(tmp_path: Path) -> None:
    data = tmp_path / "data"
    async with open_door(data) as door, another_person(door) as bob, served(door) as url:
        seed = (await bob.call("POST", "/me/totp", json={"password": PASSWORD}))["secret"]
        await bob.call("POST", "/me/totp/confirm", json={"code": pyotp.TOTP(seed).now()})
        code, said = await in_shell(url, "", "users", "reset-password", "Bob", "--data-dir", str(data))
        assert code == 0
        made_up = re.search(r"^    (\S+)$", said, re.MULTILINE)
        assert made_up
        await bob.call("GET", "/me", 401)
        login = {"username": "bob", "password": made_up[1]}
        assert (await door.call("POST", "/login", json={**login, "password": PASSWORD}))["code"] == "wrong_login"
        assert (await door.call("POST", "/login", json=login))["code"] == "totp_needed"
        assert user_rescue.reset_totp(quick_settings(data_dir=data), "bob")
        assert not user_rescue.reset_totp(quick_settings(data_dir=data), "bob")
        assert (await door.call("POST", "/login", json=login))["success"]
        notes = (await door.call("GET", "/security-log"))["items"]
        kinds = [note["kind"] for note in notes if note["actor"] == user_rescue.ACTOR]
        assert kinds == ["totp_off", "password_changed"]


async def test_help_on_the_machine_says_what_is_wrong(tmp_path: Path) -> None:
    async with open_door(tmp_path / "data"):
        pass
    settings = quick_settings(data_dir=tmp_path / "data")
    with pytest.raises(ConfigError, match=r"no user called eve.*admin"):
        user_rescue.reset_totp(settings, "eve")
    password = await user_rescue.reset_password(settings, "ADMIN")  # no server runs now
    async with open_door(tmp_path / "data") as door:
        assert (await door.call("POST", "/login", json={"username": "admin", "password": password}))["success"]
    nowhere: Settings = quick_settings(data_dir=tmp_path / "nowhere")
    with pytest.raises(ConfigError, match="no database"):
        user_rescue.reset_totp(nowhere, "admin")
    assert not (tmp_path / "nowhere").exists()
