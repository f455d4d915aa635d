from __future__ import annotations

import contextlib
import json
import sqlite3
import stat
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, column, create_engine, inspect, table, text

from benchmarks.many_messages import Talk, insert_messages
from shoal.accounts.account import SCALAR_FIELDS, SECRET_FIELDS, Account, Observation
from shoal.accounts.delivery_rule import DeliveryRule
from shoal.accounts.item_setting import ItemSetting
from shoal.accounts.journal import fold, projection
from shoal.accounts.ownership import shard_of
from shoal.auth.passwords import Passwords
from shoal.auth.users import Users
from shoal.errors import ConfigError
from shoal.messages.chats import Chats
from shoal.messages.message_log import MessageLog
from shoal.messages.word_indexer import WordIndexer
from shoal.rules.rule import Rule
from shoal.storage import migrations
from shoal.storage.change_rows import COOKIE_COLUMN
from shoal.storage.data_directory import DATABASE_FILE
from shoal.storage.database import Database
from shoal.storage.db_manager import DBManager, open_vault
from shoal.storage.grams import SEGMENT
from shoal.storage.history_tables import baselines, journal, observed
from shoal.storage.migrations import steps
from shoal.storage.schema import account_tables, accounts, delivery_rules, item_settings, metadata, rules
from shoal.storage.vault import Vault
from support.databases.postgres_server import Postgres
from support.databases.store_steps import Place, an_account, baselines_of, created
from support.runs.quick_start import cheap_hasher

HEAD = migrations.newest()
pytestmark = pytest.mark.filterwarnings("ignore:Did not recognize type 'xid8'")


@pytest.fixture
def migrated() -> bool:
    """Each test migrates."""
    return False


def differences(connection: Connection) -> list[Any]:
    def is_ours(_found: object, name: str | None, kind: str, _reflected: object, _twin: object) -> bool:
        return (kind, name) not in {("column", "xid8"), ("index", "ix_journal_xid8")}

    exact_defaults = connection.dialect.name == "postgresql"  # SQLite gives them back in other words
    context = MigrationContext.configure(
        connection, opts={"include_object": is_ours, "compare_type": True, "compare_server_default": exact_defaults}
    )
    found: list[Any] = compare_metadata(context, metadata)
    return found


def test_the_newest_step_is_the_one_that_alembic_finds() -> None:
    assert migrations.newest() == steps._head(steps._config())


async def test_the_migrated_database_is_the_one_the_program_knows(database: Database) -> None:
    assert await database.read(differences) == []


async def test_the_number_of_a_removed_row_is_never_given_again(database: Database) -> None:
    if not database.is_sqlite:
        pytest.skip("a sequence of PostgreSQL goes up only")
    wanted = {name for name, one in metadata.tables.items() if one.dialect_options["sqlite"]["autoincrement"]}
    created = text("SELECT name FROM sqlite_master WHERE type = 'table' AND sql LIKE '%AUTOINCREMENT%'")
    found = await database.read(lambda connection: set(connection.scalars(created)))
    assert found == wanted


async def test_only_postgresql_stamps_the_journal_with_its_transaction(database: Database) -> None:
    def columns(connection: Connection) -> set[str]:
        return {column["name"] for column in inspect(connection).get_columns("journal")}

    def indexed(connection: Connection) -> bool:
        return any(index["name"] == "ix_journal_xid8" for index in inspect(connection).get_indexes("journal"))

    assert ("xid8" in await database.read(columns)) is not database.is_sqlite
    assert await database.read(indexed) is not database.is_sqlite


async def test_opening_again_changes_nothing(place: Place) -> None:
    for _ in range(2):
        database = await place.open_again()
        await database.close()
    assert not list(place.data_dir.glob("*.before-*"))


def insert_as_at_first(connection: Connection, account: Account, key_file: Path) -> None:
    vault = Vault.load(key_file, create=True)
    row = {
        "id": account.id,
        "owner_id": account.owner_id,
        "unb": account.unb,
        "cookie_sealed": vault.seal(account.cookie, account_id=account.id, column=COOKIE_COLUMN),
        "cookie_fingerprint": account.fingerprint,
        "enabled": account.enabled,
        "created_at_ms": account.created_at_ms,
        "shard": shard_of(account.id),
        "generation": account.generation,
        "rev": account.rev,
    }
    old = table("accounts", *(column(name) for name in row))
    connection.execute(old.insert().values(row))


async def test_accounts_of_the_first_schema_live_on_in_the_present_one(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    upgrade = command.upgrade
    with monkeypatch.context() as patch:
        patch.setattr("alembic.command.upgrade", lambda config, _revision: upgrade(config, "0001"))
        database = await place.open_again()
        account = an_account().evolve(generation=1, rev=1)
        await database.write(lambda connection: insert_as_at_first(connection, account, place.data_dir / "secret.key"))
        await database.close()
    database = await place.open_again()
    assert await database.read(differences) == []
    manager = DBManager(database, await open_vault(database, place.data_dir / "secret.key"))
    assert await manager.get_cookie_details("shop") == account
    assert (await manager.oldest_rev(), await manager.timeline("shop")) == (0, [])
    assert len(list(place.data_dir.glob("*.before-0001-*"))) == int(database.is_sqlite)


OLD_RULES: list[dict[str, Any]] = [
    {"id": "r1", "keyword": "在吗", "reply": "在的", "item_id": None, "kind": "text", "image_url": "", "position": 0},
    {"id": "r2", "keyword": "图", "reply": "", "item_id": "77", "kind": "image", "image_url": "/a.png", "position": 1},
    {"id": "r3", "keyword": "嘘", "reply": "", "item_id": "", "kind": "text", "image_url": "", "position": 2},
]
NEW_RULES = (
    Rule.simple(id="r1", keyword="在吗", reply="在的"),
    Rule.simple(id="r2", keyword="图", item_id="77", image_url="/a.png", position=1),
    Rule.simple(id="r3", keyword="嘘", position=2),
)


def insert_old_rules(connection: Connection, account: Account) -> None:
    old = table("rules", *(column(name) for name in ("account_id", *OLD_RULES[0])))
    connection.execute(old.insert(), [{"account_id": account.id, **row} for row in OLD_RULES])
    scalars = {name: value for name, value in projection(account).items() if name in SCALAR_FIELDS}
    del scalars["timezone"]  # which came later
    before = {**scalars, "keywords": {"r1": OLD_RULES[0]}, "items": {}, "generation": 1, "rev": 1}
    connection.execute(
        baselines.insert().values(account_id=account.id, rev=1, generation=1, projection=json.dumps(before))
    )
    edited = [[{**OLD_RULES[1], "keyword": "照片"}, OLD_RULES[1]]]
    deltas = [{"added": [edited[0][0], OLD_RULES[2], {**OLD_RULES[0], "id": "r4"}]}, {"edited": edited}]
    deltas.append({"removed": [{**OLD_RULES[0], "id": "r4"}]})
    for number, delta in enumerate(deltas, start=2):
        row = {"rev": number, "account_id": account.id, "owner_id": account.owner_id, "generation": number}
        row |= {"changes": json.dumps({"keywords": delta}), "actor": "a", "op_id": str(number), "at_ms": number}
        connection.execute(journal.insert().values(row))


async def test_rules_of_one_keyword_become_rules_of_words_in_the_past_too(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    upgrade = command.upgrade
    with monkeypatch.context() as patch:
        patch.setattr("alembic.command.upgrade", lambda config, _revision: upgrade(config, "0002"))
        database = await place.open_again()
        account = an_account().evolve(generation=4, rev=4)
        await database.write(lambda connection: insert_as_at_first(connection, account, place.data_dir / "secret.key"))
        await database.write(lambda connection: insert_old_rules(connection, account))
        await database.close()
    database = await place.open_again()
    manager = DBManager(database, await open_vault(database, place.data_dir / "secret.key"))
    stored = await manager.get_cookie_details("shop")
    assert stored == account.evolve(keywords=NEW_RULES)
    folded = fold(await manager.journal(), (await baselines_of(manager)).values())
    assert folded == {"shop": projection(stored)}


def test_every_field_of_the_values_has_a_column() -> None:
    sealed = {f"{name}_sealed" for name in SECRET_FIELDS}
    views = {"paid_message"}  # of delivery rules
    assert (set(SCALAR_FIELDS) - SECRET_FIELDS - views) | sealed <= set(accounts.columns.keys())
    of_a_rule = set(Rule.__struct_fields__) - {"delay_seconds"} | {"delay_min_seconds", "delay_max_seconds"}
    assert of_a_rule == set(rules.columns.keys()) - {"account_id"}
    assert set(DeliveryRule.__struct_fields__) == set(delivery_rules.columns.keys()) - {"account_id"}
    views |= {"nothing_to_send"}
    assert {entry.name for entry in fields(ItemSetting)} - views <= set(item_settings.columns.keys())
    assert set(Observation.__struct_fields__) - {"parked_for"} <= set(observed.columns.keys())


def test_a_purge_reaches_every_table_of_an_account() -> None:
    with_account = {name for name, table in metadata.tables.items() if "account_id" in table.columns}
    outliving = {"journal", "baselines", "ops", "intents", "security_notes", "ai_usage"}
    assert {table.name for table in account_tables()} == with_account - outliving


@pytest.mark.parametrize(("name", "shard"), [("shop", 61), ("春天", 92)])
def test_shards_are_fixed_for_ever(name: str, shard: int) -> None:
    assert shard_of(name) == shard


async def test_a_database_with_data_is_copied_before_it_is_migrated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Database(tmp_path) as database:
        await created(DBManager(database, await open_vault(database, tmp_path / "secret.key")), an_account())
    monkeypatch.setattr(migrations, "newest", lambda: "9999")
    monkeypatch.setattr(steps, "_head", lambda _config: "9999")
    monkeypatch.setattr("alembic.command.upgrade", lambda _config, _revision: None)
    async with Database(tmp_path):
        pass
    (copy,) = tmp_path.glob(f"{DATABASE_FILE}.before-{HEAD}-*")  # noqa: ASYNC240 - a test may wait for the disk
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    with contextlib.closing(sqlite3.connect(copy)) as connection:
        assert connection.execute("SELECT id FROM accounts").fetchall() == [("shop",)]
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)


async def test_a_copy_that_cannot_be_made_stops_the_upgrade(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with Database(tmp_path):
        pass
    monkeypatch.setattr(migrations, "newest", lambda: "9999")
    monkeypatch.setattr(steps, "_head", lambda _config: "9999")
    (tmp_path / f"{DATABASE_FILE}.before-{HEAD}-now{steps.PARTIAL}").mkdir()
    monkeypatch.setattr("shoal.storage.migrations.steps.time.strftime", lambda *_: "now")
    with pytest.raises(ConfigError) as caught:
        await Database(tmp_path).open()
    assert caught.value.code == "no_copy_before_upgrade"


def test_a_migration_that_fails_leaves_the_database_as_it_was(tmp_path: Path) -> None:
    engine = create_engine(f"sqlite:///{tmp_path / 'x.db'}")
    try:
        with engine.begin() as connection:
            connection.execute(text("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL)"))
            connection.execute(text("INSERT INTO alembic_version VALUES ('9999')"))
        with pytest.raises(ConfigError):
            migrations.migrate(engine)
        with engine.connect() as connection:
            assert inspect(connection).get_table_names() == ["alembic_version"]
    finally:
        engine.dispose()


async def test_people_of_an_older_schema_keep_their_names_and_two_that_fold_alike_stay_two(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    upgrade = command.upgrade
    with monkeypatch.context() as patch:
        patch.setattr("alembic.command.upgrade", lambda config, _revision: upgrade(config, "0005"))
        database = await place.open_again()
        old = table("users", *(column(name) for name in ("username", "password_hash", "email")))
        rows = [{"username": name, "password_hash": "x", "email": None} for name in ("admin", "Ann", "ann", "José")]
        await database.write(lambda connection: connection.execute(old.insert(), rows).rowcount)
        await database.close()
    database = await place.open_again()
    people = Users(database, Passwords(cheap_hasher()))
    assert [user.username for user in await people.list_users()] == ["admin", "Ann", "ann", "José"]
    for typed, found in (("ADMIN", "admin"), ("ANN", "Ann"), ("jose\u0301", "José")):
        user = await people.by_name(typed)
        assert user is not None
        assert user.username == found


FIRST_HOURS = (
    "ALTER TABLE chats DROP COLUMN last_direction",
    "ALTER TABLE order_events DROP COLUMN site_at_ms",
    "DROP INDEX ix_outbox_open",
    "DROP TABLE uploads",
)
OWN_NUMBERS = (
    "ALTER TABLE outbox DROP CONSTRAINT uq_outbox_account_id_uuid",
    "ALTER TABLE outbox ADD CONSTRAINT uq_outbox_uuid UNIQUE (uuid)",
)
"""On SQLite a table must be made anew for that: a file of that time is among ``tests/upgrades/fixtures``."""


def run(connection: Connection, statements: Sequence[str]) -> None:
    for statement in statements:
        connection.execute(text(statement))


def insert_said(connection: Connection, account_id: str) -> None:
    said = table("messages", *(column(name) for name in ("account_id", "message_id", "chat_id", "text", "sender_id")))
    rows = [{"account_id": account_id, "message_id": f"m{n}", "chat_id": "c", "text": "在吗"} for n in range(2)]
    connection.execute(said.insert(), [{**row, "sender_id": "200"} for row in rows])


async def test_f2_data_of_the_first_hours_is_completed_and_its_chats_are_listed(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    upgrade = command.upgrade
    with monkeypatch.context() as patch:
        patch.setattr("alembic.command.upgrade", lambda config, _revision: upgrade(config, "0007"))
        database = await place.open_again()
        account = an_account().evolve(generation=1, rev=1)
        await database.write(lambda connection: insert_as_at_first(connection, account, place.data_dir / "secret.key"))
        await database.write(lambda connection: insert_said(connection, account.id))
        statements = FIRST_HOURS if database.is_sqlite else (*FIRST_HOURS, *OWN_NUMBERS)
        await database.write(lambda connection: run(connection, statements))
        await database.close()
    database = await place.open_again()
    assert await database.read(differences) == []
    (chat,) = await Chats(database).list_chats([account.id], now_ms=0)
    assert (chat.chat_id, chat.buyer_id, chat.last_text, chat.last_direction) == ("c", "200", "在吗", "in")


async def test_words_of_messages_of_an_older_schema_are_found_before_and_after_they_are_indexed(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    upgrade = command.upgrade
    with monkeypatch.context() as patch:
        patch.setattr("alembic.command.upgrade", lambda config, _revision: upgrade(config, "0012"))
        database = await place.open_again()
        account = an_account().evolve(generation=1, rev=1)
        await database.write(lambda connection: insert_as_at_first(connection, account, place.data_dir / "secret.key"))
        rows = Talk(1).rows(1, SEGMENT + 10, ["shop"], 100)
        rows[7]["text"] = "鲸鱼座"
        await database.write(lambda connection: insert_messages(connection, rows))
        await database.close()
    database = await place.open_again()
    log = MessageLog(database)
    for done in (True, False):
        (found,) = await log.list_messages(["shop"], query="鲸")
        assert found.message.message_id == rows[7]["message_id"]
        assert await WordIndexer(database).index_next() is done


async def test_f2_a_step_may_take_longer_than_a_request_to_the_database_may(
    postgres: Postgres, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    upgrade, limit, limits = command.upgrade, text("SHOW statement_timeout"), []

    def upgraded(config: Config, revision: str) -> None:
        limits.append(config.attributes["connection"].scalar(limit))
        upgrade(config, revision)

    monkeypatch.setattr("alembic.command.upgrade", upgraded)
    with postgres.database() as url:
        async with Database(tmp_path, url=url) as database:
            limits.append(await database.write(lambda connection: connection.scalar(limit)))
    assert limits == ["0", "8s"]


async def test_f8_who_was_let_in_before_holds_the_number_and_who_only_claimed_it_does_not(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    upgrade = command.upgrade
    shops = [an_account(name).evolve(generation=1, rev=1) for name in ("ran", "placed", "wrote", "claimed", "gone")]
    tells = {
        "ran": "INSERT INTO state_moves (account_id, state, at_ms) VALUES ('ran', 'running', 5)",
        "placed": "INSERT INTO sync_positions (account_id, position) VALUES ('placed', '{}')",
        "claimed": "INSERT INTO state_moves (account_id, state, at_ms) VALUES ('claimed', 'parked', 5)",
        "gone": "UPDATE accounts SET deleted = true WHERE id = 'gone'",
    }

    def fill(connection: Connection) -> None:
        for account in shops:
            insert_as_at_first(connection, account, place.data_dir / "secret.key")
        for told in tells.values():
            connection.execute(text(told))
        row = {"account_id": "wrote", "message_id": "m1", "chat_id": "c", "at_ms": 5}
        known = {column["name"] for column in inspect(connection).get_columns("messages")}
        connection.execute(metadata.tables["messages"].insert().values({k: v for k, v in row.items() if k in known}))

    with monkeypatch.context() as patch:
        patch.setattr("alembic.command.upgrade", lambda config, _revision: upgrade(config, "0008"))
        database = await place.open_again()
        await database.write(fill)
        await database.close()
    database = await place.open_again()
    assert await database.read(differences) == []
    manager = DBManager(database, await open_vault(database, place.data_dir / "secret.key"))
    assert await manager.number_holders() == {
        account.unb: account.id for account in shops if account.id in {"ran", "placed", "wrote"}
    }
