"""Tokens and sharing in the shell: whole commands, in processes of their own."""

from __future__ import annotations

import asyncio

from shoal.accounts.account import Account
from shoal.accounts.account_task import Link
from support.servers.doors import Door, another_person, in_shell, served
from support.site.standins import cookie_of, unb_of


async def test_a_token_of_the_shell_works_in_the_shell_and_is_over_when_it_is_revoked(door: Door) -> None:
    session = await door.server.sessions.open(1, 3600)
    async with served(door) as url:
        code, said = await in_shell(url, session, "tokens", "make", "nightly", "--account", "shop", "--days", "7")
        assert code == 0, said
        token = said.splitlines()[-1]
        assert token.startswith("shoal_")
        code, said = await in_shell(url, token, "accounts", "disable", "shop")
        assert (code, "read" in said) == (1, True), said
        code, said = await in_shell(url, session, "tokens", "list")
        assert ("nightly" in said, "read" in said, "shop" in said, token in said) == (True, True, True, False)
        (row,) = (await door.call("GET", "/tokens"))["items"]
        code, said = await in_shell(url, session, "tokens", "revoke", str(row["id"]))
        assert (code, said) == (0, "The token was revoked.\n")
        assert (await door.call("GET", "/tokens"))["items"] == []


async def test_an_account_is_shared_and_taken_back_in_the_shell(door: Door) -> None:
    session = await door.server.sessions.open(1, 3600)
    async with another_person(door) as bob, served(door) as url:
        code, said = await in_shell(url, session, "accounts", "share", "shop", "bob", "--permission", "reply")
        assert (code, said) == (0, "bob now has “reply” permission for shop.\n")
        assert (await bob.call("GET", "/cookies/shop"))["permission"] == "reply"
        assert (await in_shell(url, session, "accounts", "staff", "shop"))[1] == "bob: reply\n"
        code, said = await in_shell(url, session, "accounts", "unshare", "shop", "bob")
        assert (code, said) == (0, "bob can no longer use shop.\n")
        assert (await bob.call("GET", "/cookies")) == []


async def test_f8_a_number_is_listed_and_freed_in_the_shell(door: Door) -> None:
    async def let_in(_: Account, link: Link) -> None:
        await link.hold_number()
        link.running()
        await asyncio.Event().wait()

    door.site.behave = let_in
    session = await door.server.sessions.open(1, 3600)
    async with another_person(door) as bob, served(door) as url:
        await bob.call("POST", "/cookies", json={"id": "theirs", "value": cookie_of(7)})
        await door.call("POST", "/cookies", json={"id": "mine", "value": cookie_of(7)})
        code, said = await in_shell(url, session, "accounts", "numbers")
        held = f"{unb_of(7)}: used by theirs (bob, running); waiting: mine (admin, action needed)\n"
        assert (code, said) == (0, held)
        code, said = await in_shell(url, session, "accounts", "free-number", unb_of(7), "--yes")
        assert (code, said) == (0, f"{unb_of(7)} is free; theirs was turned off.\n")
        code, said = await in_shell(url, session, "accounts", "free-number", unb_of(8), "--yes")
        assert code == 1
        assert "No shop uses" in said
