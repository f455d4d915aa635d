"""A new key for the secrets: what it seals, what goes on after a crash, and when an old key may go."""

from __future__ import annotations

import asyncio
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, LargeBinary, select, update

from shoal.auth import totp
from shoal.errors import Conflict, ShoalError, StoreError
from shoal.storage import key_rotation
from shoal.storage.change_rows import COOKIE_COLUMN, PROXY_COLUMN
from shoal.storage.credentials import Credentials
from shoal.storage.database import Database
from shoal.storage.db_manager import ANSWERS_SECRET, DBManager, open_vault, own_secret
from shoal.storage.key_rotation import KeyFigure, KeyFigures, KeyRotation
from shoal.storage.schema import accounts, metadata
from shoal.storage.sealed_values import count_by_key, seal_anew, sealed_columns
from shoal.storage.vault import Vault, key_id, read_key_file
from support.databases.store_steps import Place, an_account, committed, created, edit

PROXY = "socks5://seller:canary@proxy.example.com:1080"


@pytest.fixture
def key_file(place: Place) -> Path:
    return place.data_dir / "secret.key"


def lines_of(key_file: Path) -> list[str]:
    return key_file.read_text().splitlines()


def mode_of(key_file: Path) -> int:
    return stat.S_IMODE(key_file.stat().st_mode)


def names_beside(key_file: Path) -> list[str]:
    return [path.name for path in key_file.parent.iterdir() if "secret" in path.name]


def names_of_files_with(key: bytes, directory: Path) -> list[str]:
    """The files of the database, its log and its index in which a value of that key stands; an old page counts too."""
    return [path.name for path in directory.glob("shoal.db*") if key in path.read_bytes()]


def spoiled(key_file: Path, how: str) -> None:
    key_file.unlink()
    if how == "a directory":
        key_file.mkdir(mode=0o700)
    elif how == "another's":
        Vault.load(key_file, create=True)


@asynccontextmanager
async def rotation(database: Database, vault: Vault, key_file: Path, **options: Any) -> AsyncIterator[KeyRotation]:
    living = KeyRotation(database, vault, key_file, **{"from_setting": False, **options})
    try:
        yield living
    finally:
        await living.close()


async def settled(living: KeyRotation) -> KeyFigures:
    async with asyncio.timeout(60):
        while (figures := await living.figures()).rotating:
            await asyncio.sleep(0.02)
    return figures


async def fill(database: Database, vault: Vault, count: int = 60) -> DBManager:
    """Accounts with a cookie and a proxy each, one of them with a jar and a token too: ``2 * count + 2`` values."""
    manager, credentials = DBManager(database, vault), Credentials(database, vault)
    await created(
        manager, *(an_account(f"shop{number}", unb=str(9000 + number), proxy=PROXY) for number in range(count))
    )
    await credentials.save_jar("shop1", {"cookie2": "jar"}, 1)
    await credentials.save_token("shop1", device_id="d", access_token="token", expires_at_ms=2**50, based_on=1)
    return manager


async def test_every_sealed_column_follows_the_convention_and_is_therefore_rotated() -> None:
    binary = {(t.name, c.name) for t in metadata.sorted_tables for c in t.columns if isinstance(c.type, LargeBinary)}
    known = {(place.table.name, place.name) for place in sealed_columns()}
    # numbers of messages, beside the words that are in clear too; pictures, which whoever has their address may see
    in_clear = {("grams", "packed"), ("pictures", "data")}
    assert binary - in_clear == known, "a binary column is sealed, and named “sealed” or “…_sealed”"
    assert {place.label for place in sealed_columns()} >= {
        COOKIE_COLUMN, PROXY_COLUMN, "cookie_jars.sealed", "tokens.sealed", totp._SEED_COLUMN,
        totp._NEW_SEED_COLUMN,
    }  # fmt: skip


async def test_after_a_rotation_everything_opens_with_the_new_key_alone(
    database: Database, vault: Vault, key_file: Path
) -> None:
    manager = await fill(database, vault)
    before = await manager.load()
    (old,) = read_key_file(key_file, required=True)
    secret = await own_secret(database, vault, ANSWERS_SECRET)
    assert names_of_files_with(key_id(old), key_file.parent) or not database.is_sqlite
    async with rotation(database, vault, key_file) as living:
        assert await living.figures() == KeyFigures(
            ((await living.figures()).keys[0],), from_setting=False, rotating=False, unreadable=0
        )
        figures = await living.rotate()
        assert (len(figures.keys), figures.renewed + figures.old) == (2, 122)
        figures = await settled(living)
        assert (figures.renewed, figures.old, figures.unreadable) == (122, 0, 0)
        new, kept = read_key_file(key_file, required=True)
        assert (kept, mode_of(key_file)) == (old, 0o600)
        assert len((await living.forget()).keys) == 1
        assert names_of_files_with(key_id(old), key_file.parent) == []
    assert read_key_file(key_file, required=True) == [new]
    assert names_beside(key_file) == ["secret.key"]
    alone = await open_vault(database, key_file)
    assert alone.key_ids == (key_id(new),)
    assert await own_secret(database, alone, ANSWERS_SECRET) == secret
    assert await DBManager(database, alone).load() == before
    credentials = Credentials(database, alone)
    assert await credentials.jar(before.accounts["shop1"]) == {"cookie2": "jar"}
    token = await credentials.token(before.accounts["shop1"])
    assert token is not None
    assert token.access_token == "token"


async def test_a_rotation_that_was_cut_off_is_taken_up_by_the_next_start(
    place: Place, database: Database, vault: Vault, key_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await fill(database, vault)
    with monkeypatch.context() as patch:
        patch.setattr("shoal.storage.key_rotation.PAUSE_SECONDS", 3600)
        async with rotation(database, vault, key_file) as living:
            await living.rotate()
            async with asyncio.timeout(60):
                while not (figures := await living.figures()).renewed:
                    await asyncio.sleep(0.02)
    assert 0 < figures.renewed < 122
    async with rotation(database, await open_vault(database, key_file), key_file) as living:
        living.start()
        figures = await settled(living)
        assert (figures.renewed, figures.old) == (122, 0)


async def test_a_rotation_that_ends_while_its_values_are_counted_is_not_called_ended_with_old_values(
    database: Database, vault: Vault, key_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await fill(database, vault, 3)
    async with rotation(database, vault, key_file) as living:
        read = database.read

        async def until_it_ended(function: Any) -> Any:
            found = await read(function)
            if function is count_by_key:
                await asyncio.gather(*(task for task in asyncio.all_tasks() if task.get_name() == "key rotation"))
            return found

        monkeypatch.setattr("shoal.storage.key_rotation.PAUSE_SECONDS", 0.05)
        monkeypatch.setattr(database, "read", until_it_ended)
        figures = await living.rotate()
        assert (figures.rotating, figures.old > 0) == (True, True)
        assert await living.figures() == KeyFigures(
            (KeyFigure(figures.keys[0].key_id, 8), KeyFigure(figures.keys[1].key_id, 0)),
            from_setting=False, rotating=False, unreadable=0,
        )  # fmt: skip


async def test_what_changes_meanwhile_is_kept_and_ends_under_the_new_key(
    database: Database, vault: Vault, key_file: Path
) -> None:
    manager = await fill(database, vault)
    async with rotation(database, vault, key_file) as living:
        await living.rotate()
        for number in range(60):
            account = await manager.get_cookie_details(f"shop{number}")
            await committed(manager, edit(account, proxy=f"http://new:password{number}@proxy.example.com:1"))
        figures = await settled(living)
    assert figures.old == 0
    found = (await manager.load()).accounts
    assert {found[f"shop{number}"].proxy[:24] for number in range(60)} == {
        f"http://new:password{number}@proxy.example.com:1"[:24] for number in range(60)
    }


async def test_f4_a_value_written_under_the_old_key_behind_the_round_is_found_by_the_next(
    database: Database, vault: Vault, key_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A write that was sealed before the new key came may commit where the round has already been."""
    await fill(database, vault, 3)
    mine = accounts.c.id == "shop0"
    old = await database.read(lambda connection: connection.scalar(select(accounts.c.cookie_sealed).where(mine)))
    late = update(accounts).where(mine).values(cookie_sealed=old)
    left = ["late"]

    def sealing(connection: Connection, *arguments: Any, **options: Any) -> Any:
        step = seal_anew(connection, *arguments, **options)
        if options["place"].label == COOKIE_COLUMN and step.after is None and left:
            left.pop()
            connection.execute(late)
        return step

    monkeypatch.setattr(key_rotation, "seal_anew", sealing)
    async with rotation(database, vault, key_file) as living:
        await living.rotate()
        figures = await settled(living)
        assert (left, figures.old) == ([], 0)
        assert len((await living.forget()).keys) == 1


async def test_keys_from_the_setting_are_changed_by_the_operator_and_sealed_anew_at_the_start(
    database: Database, vault: Vault, key_file: Path
) -> None:
    await fill(database, vault)
    old = lines_of(key_file)[-1]
    new = "n" * 43 + "="
    both = await open_vault(database, key_file, f"{new},{old}")
    async with rotation(database, both, key_file, from_setting=True) as living:
        for step in (living.rotate, living.forget):
            with pytest.raises(Conflict) as caught:
                await step()
            assert caught.value.code == "keys_from_setting"
        living.start()
        figures = await settled(living)
        assert (figures.renewed, figures.old, figures.from_setting) == (122, 0, True)
    spoiled(key_file, "gone")
    assert (await open_vault(database, key_file, new)).key_ids == both.key_ids[:1]


async def test_an_old_key_stays_while_a_value_that_it_sealed_is_left(
    database: Database, vault: Vault, key_file: Path
) -> None:
    await fill(database, vault)
    sealed = vault.seal("x", account_id="another", column="accounts.cookie")  # opens nowhere
    await database.write(
        lambda connection: connection.execute(
            update(accounts).where(accounts.c.id == "shop3").values(cookie_sealed=sealed)
        )
    )
    async with rotation(database, vault, key_file) as living:
        with pytest.raises(Conflict) as caught:
            await living.forget()
        assert caught.value.code == "no_old_key"
        await living.rotate()
        figures = await settled(living)
        assert (figures.renewed, figures.old, figures.unreadable) == (121, 1, 1)
        for step, code in ((living.forget, "old_key_needed"), (living.rotate, "rotation_under_way")):
            with pytest.raises(Conflict) as caught:
                await step()
            assert (caught.value.code, caught.value.params) == (code, {"values": 1})
    assert len(read_key_file(key_file, required=True)) == 2


@pytest.mark.parametrize(
    ("broken", "code"),
    [("gone", "key_file_gone"), ("another's", "key_file_changed"), ("a directory", "key_file_unusable")],
)
async def test_a_key_file_that_is_not_as_it_was_stops_a_rotation_before_it_begins(
    database: Database, vault: Vault, key_file: Path, broken: str, code: str
) -> None:
    """And what it says never makes anybody stop the server, whose memory may hold the last copy of the key."""
    spoiled(key_file, broken)
    async with rotation(database, vault, key_file) as living:
        with pytest.raises(StoreError) as caught:
            await living.rotate()
    assert (caught.value.code, len(vault.key_ids)) == (code, 1)


async def test_a_key_file_that_cannot_be_written_leaves_everything_as_it_was(
    database: Database, vault: Vault, key_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = lines_of(key_file)

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    async with rotation(database, vault, key_file) as living:
        with monkeypatch.context() as patch:
            patch.setattr("shoal.storage.vault.os.fsync", full)
            with pytest.raises(ShoalError) as caught:
                await living.rotate()
    assert (caught.value.code, len(vault.key_ids)) == ("key_file_unwritable", 1)
    assert lines_of(key_file) == before
    assert names_beside(key_file) == ["secret.key"]


async def test_a_secret_of_the_servers_own_stays_until_no_key_opens_it(
    database: Database, vault: Vault, key_file: Path
) -> None:
    secret = await own_secret(database, vault, ANSWERS_SECRET)
    assert (len(secret), await own_secret(database, vault, ANSWERS_SECRET)) == (32, secret)
    stranger = Vault([b"s" * 32])
    made_anew = await own_secret(database, stranger, ANSWERS_SECRET)
    assert made_anew != secret
    assert await own_secret(database, stranger, ANSWERS_SECRET) == made_anew
