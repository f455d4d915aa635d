"""Tokens and sharing in the shell: whole commands, in processes of their own."""

from __future__ import annotations

from doors import Door, another_person, in_shell, served


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
        assert (code, said) == (0, "It was revoked.\n")
        assert (await door.call("GET", "/tokens"))["items"] == []


async def test_an_account_is_shared_and_taken_back_in_the_shell(door: Door) -> None:
    session = await door.server.sessions.open(1, 3600)
    async with another_person(door) as bob, served(door) as url:
        code, said = await in_shell(url, session, "accounts", "share", "shop", "bob", "--right", "reply")
        assert (code, said) == (0, "bob may reply for shop.\n")
        assert (await bob.call("GET", "/cookies/shop"))["right"] == "reply"
        assert (await in_shell(url, session, "accounts", "staff", "shop"))[1] == "bob: reply for\n"
        code, said = await in_shell(url, session, "accounts", "unshare", "shop", "bob")
        assert (code, said) == (0, "bob may do nothing with shop any more.\n")
        assert (await bob.call("GET", "/cookies")) == []
