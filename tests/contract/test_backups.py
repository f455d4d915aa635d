"""A backup is what one moment of the database was, and its restore goes on from there, alike on both databases."""

from __future__ import annotations

import asyncio
import itertools
import secrets
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import msgspec
import pytest
from sqlalchemy import func, insert, select

from contract.message_steps import a_message, a_row
from contract.order_book_steps import paid
from shoal.accounts.journal import fold, projection
from shoal.errors import ConfigError, StoreError
from shoal.goods.imports import Imports
from shoal.goods.unit_lines import lines_of_list
from shoal.maintenance.backup import locks
from shoal.maintenance.backup.envelope import Header
from shoal.maintenance.backup.locks import (
    PRIVATE,
    PUBLIC,
    lock_to_key,
    lock_with_passphrase,
    new_key_pair,
    read_key,
    unlock_with_passphrase,
)
from shoal.maintenance.backup.making import Made, Secret, make_backup, opened
from shoal.maintenance.backup.new_life import restored_at_ms
from shoal.maintenance.backup.place import Place as Goal
from shoal.maintenance.backup.records import read_records
from shoal.maintenance.backup.restoring import Restored, check_kept, put_back, restore_backup, restore_copy
from shoal.messages.message_log import MessageLog
from shoal.orders.order_actions import Action, ActionState
from shoal.orders.order_store import OrderStore
from shoal.pictures.picture_rows import read_picture, store_picture
from shoal.storage.database import Database
from shoal.storage.db_manager import DBManager, open_vault
from shoal.storage.goods_tables import units
from shoal.storage.history_rows import newest_rev
from shoal.storage.schema import outbox
from shoal.storage.user_tables import sessions
from shoal.storage.vault import Vault
from support.databases.postgres_server import Postgres
from support.databases.store_steps import Place, an_account, baselines_of, committed, created, deletion, edit
from support.orders.goods_steps import an_owner, by, some_goods, states_of, unit_texts

PASSPHRASE = "correct horse battery staple"
PRIVATE_KEY, PUBLIC_KEY = new_key_pair()
OPENS = Secret(private_key=read_key(PRIVATE_KEY, PRIVATE))
PICTURE = Path("uploads/images/0123456789abcdef0123456789abcdef.png")
CODES = [f"CODE-{number:04}" for number in range(5)]


@pytest.fixture
def backups(tmp_path: Path) -> Path:
    directory = tmp_path / "backups"
    directory.mkdir()
    return directory


async def filled(database: Database, vault: Vault, place: Place) -> DBManager:
    """Something of every kind: two shops and one that was removed, goods with codes, a message, an order, a picture."""
    manager = DBManager(database, vault)
    shop, gone = await created(manager, an_account("shop", proxy="http://u:p@192.0.2.1:8"), an_account("gone"))
    await committed(manager, edit(shop, remark="第一"))
    await committed(manager, deletion(gone))
    owner = await an_owner(database)
    goods = await some_goods(database, owner)
    await Imports(database, await unit_texts(database, vault)).run(goods, lines_of_list(CODES), by())
    log = MessageLog(database)
    await log.store_incoming("shop", [a_message(1, "在吗？\n'\"🐟")])
    await log.outbox.queue([a_row(1), a_row(2, part=1)])
    await paid(OrderStore(database))
    token = {"token_hash": "h", "user_id": owner, "created_at_ms": 1, "expires_at_ms": 2, "last_used_ms": 1}
    await database.write(lambda connection: connection.execute(insert(sessions).values(token)).rowcount)
    picture = b"\x89PNG" + secrets.token_bytes(200_000)
    if place.url:
        await database.write(lambda connection: store_picture(connection, PICTURE.name, picture, 1))
    (place.data_dir / PICTURE).parent.mkdir(parents=True)
    (place.data_dir / PICTURE).write_bytes(picture)  # on PostgreSQL, what a death left of the move into the database
    return manager


async def backed_up(place: Place, target: Path, **options: Any) -> Made:
    lock = options.pop("lock", lambda file_key: lock_to_key(file_key, read_key(PUBLIC_KEY, PUBLIC)))
    return await asyncio.to_thread(make_backup, place.data_dir, target, url=place.url, lock=lock, **options)


async def restored(path: Path, goal: Goal, secret: Secret = OPENS) -> Restored:
    return await asyncio.to_thread(restore_backup, path, goal, secret)


def goal_of(place: Place) -> Goal:
    return Goal(data_dir=place.data_dir, url=place.url)


async def folds(manager: DBManager) -> dict[str, dict[str, Any]]:
    """The accounts as the rows have them, which must be what the journal folds to."""
    living = {name: projection(account) for name, account in (await manager.load()).accounts.items()}
    assert fold(await manager.journal(), (await baselines_of(manager)).values()) == living
    return living


def without_numbers(accounts: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {
        name: {key: value for key, value in row.items() if key not in {"generation", "rev"}}
        for name, row in accounts.items()
    }


@pytest.mark.slow
async def test_a_restore_goes_on_above_every_number_lets_nothing_out_again_and_can_be_undone(
    database: Database, vault: Vault, place: Place, backups: Path
) -> None:
    manager = await filled(database, vault, place)
    before = await folds(manager)
    made = await backed_up(place, backups)
    later = await committed(manager, edit((await manager.load()).accounts["shop"], remark="后来"))
    with pytest.raises(ConfigError) as refused:
        await restored(made.path, goal_of(place))
    assert refused.value.code == "data_dir_taken", "a server uses the data"
    await database.close()

    done = await restored(made.path, goal_of(place))
    again = await place.open_again()
    manager = DBManager(again, await open_vault(again, place.data_dir / "secret.key"))
    after = await folds(manager)
    assert without_numbers(after) == without_numbers(before)
    assert after["shop"]["rev"] > later[-1].rev + 500_000
    assert after["shop"]["generation"] > later[-1].generation + 500_000
    assert (await manager.load()).newest_rev == done.life.rev
    assert (await manager.load()).tombstones["gone"].generation > 500_000
    assert await again.read(lambda connection: connection.scalar(select(func.count()).select_from(sessions))) == 0
    assert await states_of(again, 1) == {"free": len(CODES)}
    assert await restored_at_ms(again) >= made.header.made_at_ms
    entry = (await manager.journal(account_id="shop"))[-1]
    assert (entry.actor, entry.changes) == ("restore", {})
    await committed(manager, edit((await manager.load()).accounts["shop"], remark="新的"))
    await folds(manager)
    await everything_waits_for_its_owner(again, done)
    await again.close()

    await asyncio.to_thread(check_kept, done.kept, goal_of(place))
    back = await asyncio.to_thread(put_back, done.kept, goal_of(place))
    assert back.kept not in {"", done.kept}
    last = await place.open_again()
    manager = DBManager(last, await open_vault(last, place.data_dir / "secret.key"))
    assert (await folds(manager))["shop"]["remark"] == "后来"
    assert (await manager.load()).newest_rev > done.life.rev, "also above the numbers of the life between"
    await last.close()
    unkept = ("before_restore_20000101_000000", "shoal.db.before-restore-20000101-000000", "secret.key", "", "/", "..")
    for name, act in itertools.product(unkept, (check_kept, put_back)):
        with pytest.raises(ConfigError) as unknown:
            await asyncio.to_thread(act, name, goal_of(place))
        assert unknown.value.code == "nothing_kept"


async def everything_waits_for_its_owner(database: Database, done: Restored) -> None:
    """What was under way when the backup was made may have been done since."""
    assert (done.life.messages_in_doubt, done.life.orders_to_check) == (2, 1)
    outcomes = await database.read(lambda connection: connection.scalars(select(outbox.c.outcome)).all())
    assert set(outcomes) == {"uncertain"}
    book = OrderStore(database)
    order = await book.order("shop", "o1")
    assert order is not None
    assert order.problem == "before_restore"
    (action,) = await book.order_actions("shop", "o1")
    assert (action.action, action.state) == (Action.PAID_MESSAGE, ActionState.FAILED)
    assert await book.unfinished("shop") == []
    assert await book.ask_again("shop", "o1", Action.PAID_MESSAGE, actor="user:ann"), "its owner may serve it"


async def test_a_backup_of_one_database_restores_into_the_other(
    database: Database, vault: Vault, place: Place, backups: Path, tmp_path: Path, postgres: Postgres
) -> None:
    manager = await filled(database, vault, place)
    before = await folds(manager)
    made = await backed_up(place, backups)
    with postgres.database() as url:
        goal = Goal(data_dir=tmp_path / "elsewhere", url="" if place.url else url)
        done = await restored(made.path, goal)
        assert (done.kept, done.pictures) == ("", 1)
        if not goal.url:
            for path, mode in ((PICTURE.parent.parent, 0o700), (PICTURE.parent, 0o700), (PICTURE, 0o600)):
                assert (goal.data_dir / path).stat().st_mode & 0o777 == mode
            assert (goal.data_dir / PICTURE).stat().st_size == 200_004
        async with Database(goal.data_dir, url=goal.url) as other:
            there = DBManager(other, await open_vault(other, goal.data_dir / "secret.key"))
            assert without_numbers(await folds(there)) == without_numbers(before)
            await committed(there, edit((await there.load()).accounts["shop"], remark="新的"))
            assert await states_of(other, 1) == {"free": len(CODES)}
            if goal.url:
                picture = await other.read(lambda connection: read_picture(connection, PICTURE.name))
                assert len(picture or b"") == 200_004
                assert not (goal.data_dir / PICTURE).exists()
            held = {"goods_id": 1, "owner_id": 1, "at_ms": 1}
            adding = insert(units).values(held).returning(units.c.id)
            assert (await other.write(lambda connection: connection.scalar(adding)) or 0) > len(CODES) + 500_000


# ── SQLite alone: the file ──────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
async def made(tmp_path: Path, backups: Path) -> AsyncIterator[Made]:
    directory = tmp_path / "data"
    async with Database(directory) as database:
        place = Place(data_dir=directory, url="", open_again=Database.open)
        await filled(database, await open_vault(database, directory / "secret.key"), place)
        yield await backed_up(place, backups)


def code_of(path: Path, secret: Secret) -> str:
    """Open a backup as a whole, and return the code of the refusal."""

    def open_it() -> None:
        with opened(path) as sealed:
            for _ in read_records(sealed.chunks(secret.file_key(sealed.header))):
                pass

    with pytest.raises(ConfigError) as refused:
        open_it()
    return refused.value.code


@pytest.mark.slow
async def test_a_file_that_is_not_as_it_was_written_is_refused(made: Made, tmp_path: Path) -> None:
    raw = made.path.read_bytes()
    with opened(made.path) as sealed:
        first = len(sealed.top)
    chunk = 65_536 + 16
    assert len(raw) > first + 2 * chunk, "more than two chunks"
    rest = raw[first + 2 * chunk :]
    damaged = {
        "cut within a chunk": raw[:-7],
        "cut between two": raw[: first + chunk],
        "without any": raw[:first],
        "longer": raw + b"x",
        "a bit": raw[:-150] + bytes([raw[-150] ^ 1]) + raw[-149:],
        "reordered": raw[:first] + raw[first + chunk : first + 2 * chunk] + raw[first : first + chunk] + rest,
        "another header": raw.replace(b'"rev":', b'"rev":1', 1),
        "a header that says another thing": raw.replace(b'"database":"s', b'"database":"S', 1),
    }
    for name, data in damaged.items():
        assert data != raw, name
        path = tmp_path / "damaged"
        path.write_bytes(data)
        assert code_of(path, OPENS) in {"backup_damaged", "no_backup"}, name
    for length in (0, 5, 15, 17, 40, first - 1):
        (tmp_path / "damaged").write_bytes(raw[:length])
        assert code_of(tmp_path / "damaged", OPENS) == "backup_damaged", f"cut after {length} bytes, within its header"
    (tmp_path / "note").write_text("hello")
    assert code_of(tmp_path / "note", OPENS) == "no_backup"
    with (
        pytest.raises(ConfigError, match=r"shoal\.db is an SQLite database .* `shoal restore"),
        opened(tmp_path / "data" / "shoal.db"),
    ):
        pass
    place = Place(data_dir=tmp_path / "data", url="", open_again=Database.open)
    with pytest.raises(ConfigError, match="is there already") as taken:
        await backed_up(place, made.path)
    assert taken.value.code == "target_exists"
    assert made.path.read_bytes() == raw
    for unreadable in (tmp_path / "nowhere", tmp_path, made.path / "below-a-file"):
        assert code_of(unreadable, OPENS) == "backup_not_readable", unreadable

    assert code_of(made.path, Secret(private_key=read_key(new_key_pair()[0], PRIVATE))) == "other_backup_key"
    assert code_of(made.path, Secret(passphrase=PASSPHRASE)) == "backup_locked"
    for word in ("在吗", "CODE-0001", "192.0.2.1", "cookie2"):
        assert word.encode() not in raw
    assert made.path.stat().st_mode & 0o077 == 0
    assert [path.name for path in made.path.parent.iterdir()] == [made.path.name], "no partial file"


@pytest.mark.slow
def test_only_its_passphrase_opens_it_however_it_is_typed(monkeypatch: pytest.MonkeyPatch) -> None:
    lock = lock_with_passphrase(bytes(32), PASSPHRASE)
    wide = "".join(chr(ord(letter) + 0xFEE0) if letter.isalpha() else letter for letter in PASSPHRASE)
    secret, header = Secret(passphrase=f" {wide} "), cast("Header", SimpleNamespace(locks=[lock]))
    assert secret.file_key(header) == bytes(32)
    monkeypatch.delattr(locks, "hash_secret_raw")
    assert secret.file_key(header) == bytes(32), "the passphrase is stretched once for a file"
    monkeypatch.undo()
    with pytest.raises(ConfigError) as wrong:
        unlock_with_passphrase(lock, "another one, long")
    assert wrong.value.code == "wrong_passphrase"
    with pytest.raises(ConfigError) as short:
        lock_with_passphrase(bytes(32), "short")
    assert short.value.code == "short_passphrase"
    for costly in (msgspec.structs.replace(lock, memory_kib=2**30), msgspec.structs.replace(lock, passes=10**6)):
        with pytest.raises(ConfigError) as endless:
            unlock_with_passphrase(costly, PASSPHRASE)
        assert endless.value.code == "backup_damaged"


@pytest.mark.parametrize(
    "text",
    [PRIVATE_KEY, PUBLIC_KEY[:-1], PUBLIC_KEY.swapcase(), "", PUBLIC, f"{PUBLIC_KEY}A"],
    ids=["private", "cut", "other case", "nothing", "only its beginning", "longer"],
)
def test_a_key_that_is_typed_wrong_is_refused(text: str) -> None:
    with pytest.raises(ConfigError) as refused:
        read_key(text, PUBLIC)
    assert refused.value.code == "bad_backup_key"


@pytest.mark.slow
async def test_a_copy_of_the_database_restores_too_with_the_keys_that_are_there(made: Made, tmp_path: Path) -> None:
    data, copy, goal = tmp_path / "data", tmp_path / "copy.db", Goal(data_dir=tmp_path / "new")
    with closing(sqlite3.connect(data / "shoal.db")) as source, closing(sqlite3.connect(copy)) as target:
        source.backup(target)
    with pytest.raises(ConfigError) as refused:
        await asyncio.to_thread(restore_copy, copy, goal)
    assert refused.value.code == "key_file_missing"
    (goal.data_dir / "secret.key").touch(mode=0o600)
    (goal.data_dir / "secret.key").write_text("ab" * 32)
    with pytest.raises(ConfigError) as refused:
        await asyncio.to_thread(restore_copy, copy, goal)
    assert refused.value.code == "missing_key"
    (goal.data_dir / "secret.key").write_bytes((data / "secret.key").read_bytes())
    done = await asyncio.to_thread(restore_copy, copy, goal)
    async with Database(goal.data_dir) as other:
        there = DBManager(other, await open_vault(other, goal.data_dir / "secret.key"))
        assert (await folds(there))["shop"]["remark"] == "第一"
        assert await other.read(newest_rev) == done.life.rev
    copy.write_bytes(copy.read_bytes()[: 3 * 4096])
    with pytest.raises(StoreError, match="damaged"):
        await asyncio.to_thread(restore_copy, copy, goal)
    async with Database(goal.data_dir) as other:
        assert await other.read(newest_rev) == done.life.rev, "a refused restore changed nothing"


@pytest.mark.slow
async def test_no_backup_is_made_where_it_cannot_be_written_or_its_key_is_missing(made: Made, tmp_path: Path) -> None:
    place = Place(data_dir=tmp_path / "data", url="", open_again=Database.open)
    with pytest.raises(ConfigError) as refused:
        await backed_up(place, tmp_path / "nowhere" / "x")
    assert refused.value.code == "backup_not_written"
    (tmp_path / "data" / "secret.key").write_text("ab" * 32)
    with pytest.raises(ConfigError) as refused:
        await backed_up(place, made.path.parent)
    assert refused.value.code == "missing_key"
    assert [path.name for path in made.path.parent.iterdir()] == [made.path.name]
