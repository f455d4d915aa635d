"""A text with NUL or half of a surrogate pair is cleaned, whatever way it comes, and what is stored moves on."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, insert, select, text, update

from api.test_moving import moved as imported
from contract.test_backups import backed_up, folds, restored
from shoal.accounts.item_setting import ItemSetting
from shoal.maintenance.backup.place import Place as Goal
from shoal.maintenance.moving.run_store import RunState
from shoal.maintenance.store_migration.migrating import migrate_store
from shoal.rules.rule import Part, Rule
from shoal.storage.data_directory import DATABASE_FILE
from shoal.storage.database import Database
from shoal.storage.db_manager import DBManager, open_vault
from shoal.storage.engines import driver_of
from shoal.storage.schema import store_meta
from support.databases.postgres_server import Postgres
from support.databases.store_steps import Place, an_account, committed, created, edit
from support.moving.old_database import an_old_shop, write_json, write_sqlite
from support.servers.doors import open_door
from upgrades.make_fixture import KEY
from upgrades.test_upgrades import lay

NASTY, CLEAN = "价\0格\ud83d🐟\0", "价格🐟"
UNCHANGED = ("", "价格🐟", "\ufffd", "a\\u0000b")

pytestmark = pytest.mark.filterwarnings("ignore:Did not recognize type 'xid8'")


async def test_g7_no_statement_stores_what_not_every_database_can(database: Database) -> None:
    def job(connection: Connection) -> dict[str, str]:
        connection.execute(insert(store_meta).values(key=f"one{NASTY}", value=NASTY))
        connection.execute(insert(store_meta), [{"key": f"many{number}", "value": NASTY} for number in range(3)])
        connection.execute(
            text("INSERT INTO store_meta (key, value) VALUES (:key, :value)"), {"key": "text", "value": "\ud83d"}
        )
        connection.execute(update(store_meta).where(store_meta.c.key == "many1").values(value="\0"))
        mark = "?" if connection.dialect.name == "sqlite" else "%s"
        add = f"INSERT INTO store_meta (key, value) VALUES ({mark}, {mark})"  # noqa: S608  no value is in it
        raw = driver_of(connection)
        raw.execute(add, ("raw", NASTY))
        raw.cursor().executemany(add, [("raws", NASTY), ("fine", "a\n")])
        connection.execute(
            insert(store_meta), [{"key": f"same{at}", "value": value} for at, value in enumerate(UNCHANGED)]
        )
        return {row.key: row.value for row in connection.execute(select(store_meta))}

    found = await database.write(job)
    assert {name: found.get(name) for name in ("many0", "many1", "many2", "text", "raw", "raws", "fine")} == {
        "many0": CLEAN, "many1": "", "many2": CLEAN, "text": "", "raw": CLEAN, "raws": CLEAN, "fine": "a\n",
    }  # fmt: skip
    assert found[f"one{CLEAN}"] == CLEAN
    assert tuple(found[f"same{at}"] for at in range(len(UNCHANGED))) == UNCHANGED


async def test_g7_a_shop_is_in_memory_in_its_rows_and_in_the_journal_alike(manager: DBManager) -> None:
    rule = Rule(id="r1", words=(NASTY, "在吗"), item_ids=("1\0",), parts=(Part(text=NASTY),))
    draft = an_account("shop", remark=NASTY, default_reply=NASTY, keywords=(rule,)).storable()
    (shop,) = await created(manager, draft)
    assert (shop.remark, shop.default_reply, shop.keywords[0].words) == (CLEAN, CLEAN, (CLEAN, "在吗"))
    assert (shop.keywords[0].item_ids, shop.keywords[0].parts[0].text) == (("1",), CLEAN)
    items = (ItemSetting(item_id="1\0", reply=NASTY, facts=NASTY),)
    change = edit(shop, remark=f"二{NASTY}", items=items, paid_message=NASTY)
    await committed(manager, change)
    stored = await manager.get_cookie_details("shop")
    assert change.new is not None
    assert stored == change.new.evolve(rev=stored.rev)
    assert (stored.remark, stored.items[0].reply, stored.paid_message) == (f"二{CLEAN}", CLEAN, CLEAN)
    assert "\0" not in repr(await folds(manager))


@pytest.mark.slow
async def test_g7_an_old_database_with_nul_is_imported_told_of_and_moved_on(
    place: Place, tmp_path: Path, postgres: Postgres
) -> None:
    rows = an_old_shop()
    rows["keywords"][0] |= {"keyword": "价\0格", "reply": "不\0议价"}
    rows["keywords"].append({"cookie_id": "afu", "keyword": "\0", "reply": "没有词"})
    rows["default_replies"][0]["reply_content"] = "稍\0等"
    rows["cards"][1] |= {"name": "月\0卡", "data_content": "A-1\nA\0-2\nA-3"}
    rows["orders"][0]["order_id"] = "90\x0001"
    rows["users"][1]["username"] = "la\0n"
    rows["notification_channels"].append({"id": 9, "name": "钉\0钉", "user_id": 1, "type": "no\0thing", "config": "{}"})
    async with open_door(place.data_dir, database_url=place.url or None, secret_key=KEY) as door:
        run = await imported(door, write_sqlite(tmp_path / "old.db", rows))
        assert (run.state, run.why) == (RunState.DONE, "")
        afu = door.server.manager.account("afu")
        assert [rule.keyword for rule in afu.keywords] == ["价格", "包邮"]
        assert (afu.keywords[0].reply, afu.default_reply) == ("不议价", "稍等")
        me = await door.server.users.by_name("admin")
        assert me is not None
        told = [odd for _, odd in await door.server.moving.oddities(me, run.id) if odd.code == "text_cleaned"]
        assert {odd.table for odd in told} >= {"keywords", "default_replies", "cards", "orders", "users"}
        assert "keyword=价格" in {odd.row for odd in told}
        assert await door.server.users.by_name("lan") is not None
    if not place.url:
        assert _with_nul(place.data_dir / DATABASE_FILE) == {}
        with postgres.database() as url:
            goal = Goal(data_dir=place.data_dir, url=url, secret_key=KEY)
            await asyncio.to_thread(migrate_store, Goal(data_dir=place.data_dir, secret_key=KEY), goal)


async def test_g7_half_of_a_surrogate_pair_in_a_json_backup_is_left_out_and_told(tmp_path: Path) -> None:
    rows = an_old_shop()
    rows["keywords"][0]["reply"] = "不议价@@"
    path = write_json(tmp_path / "old.json", rows)
    path.write_bytes(path.read_bytes().replace(b"@@", b"\\ud83d"))
    async with open_door(tmp_path / "data") as door:
        run = await imported(door, path)
        assert door.server.manager.account("afu").keywords[0].reply == "不议价"
        me = await door.server.users.by_name("admin")
        assert me is not None
        assert "text_cleaned" in {odd.code for _, odd in await door.server.moving.oddities(me, run.id)}


# ── what is stored already ──────────────────────────────────────────────────────────────────────────────────────────


def poison(file: Path) -> None:
    """Put NUL into an SQLite file where an import of an earlier version left it, and where nothing should have."""
    with closing(sqlite3.connect(file)) as made, made:
        made.execute("UPDATE accounts SET remark = 'r' || char(0) || 's' WHERE id = 'shop'")
        made.execute("UPDATE journal SET changes = replace(changes, '备注 shop', 'r\\u0000s')")
        made.execute("UPDATE rules SET words = replace(words, '在吗', '在\\u0000吗') WHERE account_id = 'shop'")
        made.execute("UPDATE journal SET changes = replace(changes, '在吗', '在\\u0000吗')")
        made.execute("UPDATE messages SET text = 'a' || char(0) || 'b', sender_name = char(0) WHERE id = 1")
        made.execute("INSERT INTO once_replies VALUES ('shop', 'c' || char(0), 1), ('shop', 'c', 2)")
        made.execute("UPDATE orders SET spec_name = 's' || char(0), order_id = order_id || char(0)")
        made.execute("UPDATE order_events SET order_id = order_id || char(0)")
        made.execute("UPDATE intents SET order_id = order_id || char(0)")


def _with_nul(file: Path) -> dict[str, int]:
    """How many rows of which columns of an SQLite file have a NUL, as it is or as JSON."""
    found = {}
    with closing(sqlite3.connect(file)) as opened:
        for (table,) in opened.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
            for _, column, kind, *_ in opened.execute(f"PRAGMA table_info({table})").fetchall():
                if kind == "TEXT":
                    query = f"SELECT count(*) FROM {table} WHERE instr({column}, char(0)) OR instr({column}, '\\u0000')"  # noqa: S608
                    if count := opened.execute(query).fetchone()[0]:
                        found[f"{table}.{column}"] = count
    return found


@pytest.mark.slow
@pytest.mark.parametrize("name", ["v0.1.0", "0036"])
async def test_g7_what_an_earlier_version_stored_is_cleaned_by_the_upgrade_and_moves_to_postgresql(
    tmp_path: Path, postgres: Postgres, name: str
) -> None:
    data, backups = tmp_path / "data", tmp_path / "backups"
    lay(name, data)
    poison(data / DATABASE_FILE)
    (data / DATABASE_FILE).chmod(0o600)
    before = _with_nul(data / DATABASE_FILE)
    assert {"accounts.remark", "journal.changes", "rules.words", "messages.text", "orders.order_id"} <= before.keys()
    async with Database(data) as database:
        manager = DBManager(database, await open_vault(database, data / "secret.key", KEY))
        shop = await manager.get_cookie_details("shop")
        assert (shop.remark, shop.keywords[0].words) == ("rs", ("在吗",))
        await folds(manager)
        query = text("SELECT chat_id FROM once_replies ORDER BY chat_id")
        assert await database.read(lambda connection: connection.scalars(query).all()) == ["c", "c\ufffd"]
        said = text("SELECT text, sender_name FROM messages WHERE id = 1")
        assert await database.read(lambda connection: connection.execute(said).one()) == ("ab", "\ufffd")
    assert _with_nul(data / DATABASE_FILE) == {}
    backups.mkdir()
    made = await backed_up(Place(data_dir=data, url="", open_again=_no_more), backups, secret_key=KEY)
    with postgres.database() as url, postgres.database() as other:
        await restored(made.path, Goal(data_dir=tmp_path / "restored", url=url))
        await asyncio.to_thread(
            migrate_store, Goal(data_dir=data, secret_key=KEY), Goal(data_dir=data, url=other, secret_key=KEY)
        )
        async with Database(data, url=other) as database:
            manager = DBManager(database, await open_vault(database, data / "secret.key", KEY))
            assert (await folds(manager))["shop"]["remark"] == "rs"


async def _no_more(**_: Any) -> Database:
    raise AssertionError


@pytest.mark.slow
async def test_g7_a_backup_and_a_store_that_have_nul_all_the_same_come_to_postgresql_without(
    tmp_path: Path, postgres: Postgres
) -> None:
    """As a backup of an earlier version, or a file into which another program wrote."""
    data, backups = tmp_path / "data", tmp_path / "backups"
    backups.mkdir()
    async with Database(data) as database:
        manager = DBManager(database, await open_vault(database, data / "secret.key"))
        await created(manager, an_account("shop"))
        await database.write(
            lambda connection: connection.execute(insert(store_meta).values(key="k", value="ab")).rowcount
        )
    with closing(sqlite3.connect(data / DATABASE_FILE)) as opened, opened:
        opened.execute("UPDATE store_meta SET value = 'a' || char(0) || 'b' WHERE key = 'k'")
    made = await backed_up(Place(data_dir=data, url="", open_again=_no_more), backups)
    with postgres.database() as url, postgres.database() as other:
        goals = (Goal(data_dir=tmp_path / "restored", url=url), Goal(data_dir=data, url=other))
        await restored(made.path, goals[0])
        await asyncio.to_thread(migrate_store, Goal(data_dir=data), goals[1])
        for goal in goals:
            async with Database(goal.data_dir, url=goal.url) as database:
                assert await database.fact("k") == "ab"
