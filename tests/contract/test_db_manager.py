"""What ``DBManager`` adds to the port: the seed's names, loud reads, and whole purges, on both databases."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from sqlalchemy import Connection, Table, func, select, text, update

from shoal.accounts.account import Account, AccountState, Observation
from shoal.accounts.item_setting import ItemSetting
from shoal.accounts.journal import JournalEntry, fold, projection
from shoal.accounts.store import Committed
from shoal.errors import StoreError, UnknownAccount
from shoal.rules.rule import Rule
from shoal.storage.assistant_tables import ai_usage
from shoal.storage.credentials import Credentials
from shoal.storage.database import Database
from shoal.storage.db_manager import DBManager, open_vault
from shoal.storage.history_tables import observed, ops
from shoal.storage.order_tables import order_actions
from shoal.storage.schema import account_tables, accounts, metadata, rules, seller_numbers
from shoal.storage.user_tables import users
from shoal.storage.vault import Vault
from support.databases.store_steps import (
    Place,
    an_account,
    committed,
    created,
    deletion,
    edit,
    living,
    settled,
    submitted,
)


async def test_the_seeds_names_read_and_write_with_a_journal_row_each(manager: DBManager) -> None:
    await created(manager, an_account())
    rules = (Rule.simple(id="r", keyword="k", reply="x"),)
    await manager.save_cookie_status("shop", False, actor="user:ann")
    await manager.save_auto_confirm("shop", True)
    await manager.save_keywords("shop", rules)
    assert await manager.get_cookie_status("shop") is False
    assert await manager.get_auto_confirm("shop") is True
    assert await manager.get_keywords("shop") == rules
    assert (await manager.get_cookie_details("shop")).generation == 4
    entries = await manager.journal(after_rev=1)
    assert [(list(entry.changes), entry.actor) for entry in entries] == [
        (["enabled"], "user:ann"), (["auto_confirm"], "store"), (["keywords"], "store"),
    ]  # fmt: skip
    await manager.save_cookie_status("shop", False)
    assert (await living(manager, "shop")).generation == 4  # unchanged: the op only


@pytest.mark.parametrize(
    "call",
    [
        lambda store: store.get_cookie_status("nobody"),
        lambda store: store.get_auto_confirm("nobody"),
        lambda store: store.get_keywords("nobody"),
        lambda store: store.get_cookie_details("nobody"),
        lambda store: store.save_cookie_status("nobody", True),
        lambda store: store.save_auto_confirm("nobody", True),
        lambda store: store.save_keywords("nobody", ()),
    ],
)
async def test_a17_a18_an_unknown_account_is_never_a_default(manager: DBManager, call: Any) -> None:
    with pytest.raises(UnknownAccount):
        await call(manager)
    assert await manager.journal() == []


@pytest.mark.parametrize(
    "damage",
    [
        update(accounts).values(cookie_sealed=b"rubbish"),
        update(accounts).values(cookie_sealed=None),
        update(accounts).values(cookie_fingerprint="00000000"),
        update(accounts).values(proxy_sealed=b"rubbish"),
        update(rules).values(match_mode="poem"),
        update(rules).values(words="[]"),
        update(rules).values(parts="{"),
        update(rules).values(match_mode="regex", words='["("]'),
        update(observed).values(state="asleep"),
    ],
)
async def test_a18_one_unreadable_row_makes_loading_fail_by_name(
    database: Database, manager: DBManager, damage: Any
) -> None:
    await created(manager, an_account("fine"), an_account("shop", keywords=(Rule.simple(id="r", keyword="k"),)))
    await manager.observe({"shop": Observation(state=AccountState.RUNNING)})
    table = damage.table
    key = accounts.c.id if table is accounts else table.c.account_id
    await database.write(lambda connection: connection.execute(damage.where(key == "shop")).rowcount)
    with pytest.raises(StoreError, match="shop"):
        await manager.load()


async def test_a_proxy_is_stored_sealed_changed_and_taken_away(database: Database, manager: DBManager) -> None:
    async def sealed() -> Any:
        return await database.read(lambda connection: connection.scalar(select(accounts.c.proxy_sealed)))

    (shop,) = await created(manager, an_account("shop", proxy="http://ann:secret@h:1"))
    assert await manager.get_cookie_details("shop") == shop
    assert b"secret" not in bytes(await sealed())
    for proxy in ("http://ann:other@h:1", ""):
        await committed(manager, edit(await living(manager, "shop"), proxy=proxy))
        assert (await living(manager, "shop")).proxy == proxy
    assert await sealed() is None
    entries = await manager.journal()
    assert [entry.changes["proxy"] for entry in entries] == [
        [None, "http://***@h:1"], ["http://***@h:1", "http://***@h:1"], ["http://***@h:1", ""],
    ]  # fmt: skip
    assert fold(entries)["shop"] == projection(await living(manager, "shop"))


async def test_a_cookie_copied_into_another_row_does_not_open(database: Database, manager: DBManager) -> None:
    one, _ = await created(manager, an_account("one"), an_account("two"))
    stolen = select(accounts.c.cookie_sealed).where(accounts.c.id == "one").scalar_subquery()
    theft = update(accounts).where(accounts.c.id == "two").values(
        cookie_sealed=stolen, cookie_fingerprint=one.fingerprint
    )  # fmt: skip
    await database.write(lambda connection: connection.execute(theft).rowcount)
    with pytest.raises(StoreError):
        await manager.get_cookie_details("two")
    assert await manager.get_cookie_details("one") == one


def _a_row_everywhere(connection: Connection, account_id: str) -> None:
    """One row in every table of an account, whatever its columns are: a new table is filled too."""
    if not connection.scalar(select(func.count()).select_from(users)):
        connection.execute(users.insert().values(username="ann", name_key="ann", password_hash="x"))
    person = connection.scalar(select(users.c.id))
    for table in [*reversed(account_tables()), order_actions, ai_usage]:
        if connection.scalar(select(func.count()).where(table.c.account_id == account_id)):
            continue
        row = _a_row(table, account_id)
        row |= dict.fromkeys(row.keys() & {"user_id", "owner_id"}, person)
        if table is rules:
            row["words"] = '["k"]'
        if table is seller_numbers:
            row["unb"] = f"number of {account_id}"
        connection.execute(table.insert().values(**row))


def _a_row(table: Table, account_id: str) -> dict[str, Any]:
    row: dict[str, Any] = {"account_id": account_id}
    for column in table.columns:
        if column.name in row or column.nullable or column.server_default is not None or column.autoincrement is True:
            continue
        kind = column.type.python_type
        row[column.name] = b"x" if kind is bytes else kind()
    texts = {"subject": account_id, "id": f"id of {account_id}", "order_id": f"order of {account_id}"}
    return row | {name: text for name, text in texts.items() if isinstance(row.get(name), str)}


def _rows_of(connection: Connection, account_id: str) -> dict[str, int]:
    return {
        name: connection.scalar(select(func.count()).where(table.c.account_id == account_id)) or 0
        for name, table in metadata.tables.items()
        if "account_id" in table.columns
    }


async def test_a_purge_leaves_what_outlives_it_and_a_bare_tombstone(database: Database, manager: DBManager) -> None:
    full = an_account(
        proxy="http://user:password@proxy.example.com:8080",
        remark="secret remark",
        keywords=(Rule.simple(id="r", keyword="k"),),
        items=(ItemSetting(item_id="1"),),
    )
    account, _ = await created(manager, full, an_account("other"))
    for name in ("shop", "other"):
        await database.write(lambda connection, name=name: _a_row_everywhere(connection, name))  # type: ignore[misc]
    other = await living(manager, "other")
    before = await database.read(lambda connection: _rows_of(connection, "shop"))
    assert all(count for name, count in before.items() if name not in {"baselines", "security_notes"}), before
    await committed(manager, deletion(account))
    await manager.purge("shop")
    after = await database.read(lambda connection: _rows_of(connection, "shop"))
    assert {name: count for name, count in after.items() if count} == {
        "journal": 2,
        "ops": 2,
        "intents": 1,
        "ai_usage": 1,
    }
    row = await database.read(
        lambda connection: connection.execute(select(accounts).where(accounts.c.id == "shop")).mappings().one()
    )
    assert row["proxy_sealed"] is None
    assert (row["cookie_sealed"], row["unb"], row["remark"], row["cookie_fingerprint"]) == (None, "", "", "")
    kept = await database.read(lambda connection: _rows_of(connection, "other"))
    assert all(count for name, count in kept.items() if name not in {"baselines", "security_notes"})
    assert await living(manager, "other") == other


async def test_everything_is_there_after_opening_again(place: Place) -> None:
    database = await place.open_again()
    store = DBManager(database, await open_vault(database, place.data_dir / "secret.key"))
    (account,) = await created(store, an_account(keywords=(Rule.simple(id="r", keyword="k"),)))
    await committed(store, edit(account, enabled=False))
    before = await store.load()
    await database.close()
    database = await place.open_again()
    store = DBManager(database, await open_vault(database, place.data_dir / "secret.key"))
    assert await store.load() == before
    assert [entry.generation for entry in await store.journal()] == [1, 2]


async def test_an_op_reserved_for_an_idempotency_key_is_filled_in(database: Database, manager: DBManager) -> None:
    change = edit((await created(manager, an_account()))[0], remark="x")
    reserved = {"op_id": change.op.op_id, "actor": "user:ann", "idem_key": "k", "method": "PUT", "path": "/x"}
    await database.write(lambda connection: connection.execute(ops.insert().values(**reserved)).rowcount)
    assert await manager.op(change.op.op_id) is None
    await committed(manager, change)
    record = await manager.op(change.op.op_id)
    assert record is not None
    assert record.generation == 2


@pytest.mark.parametrize(("point", "applied"), [("commit", False), ("committed", True)])
async def test_a_failed_commit_is_settled_by_asking_the_database(place: Place, point: str, applied: bool) -> None:
    faults: list[str] = []

    def fail(here: str) -> None:
        if here in faults:
            faults.remove(here)
            raise OSError(here)

    database = await place.open_again(fault_point=fail)
    store = DBManager(database, Vault([b"k" * 32]))
    (account,) = await created(store, an_account())
    faults.append(point)
    change = edit(account, remark="x")
    assert isinstance(await settled(store, change), Committed) is applied
    assert (await store.op(change.op.op_id) is not None) is applied
    assert (await living(store, "shop")).remark == ("x" if applied else "")
    await committed(store, edit(await living(store, "shop"), remark="y"))


class TestOnPostgresql:
    """Two nodes on one database."""

    @pytest.fixture
    async def nodes(self, place: Place) -> list[DBManager]:
        if not place.url:
            pytest.skip("SQLite has one server only")
        vault = Vault([b"k" * 32])
        return [
            DBManager(await place.open_again(data_dir=place.data_dir.with_name(f"node{number}")), vault)
            for number in range(2)
        ]

    async def test_only_one_of_two_nodes_wins_a_generation(self, nodes: list[DBManager]) -> None:
        accounts = await created(nodes[0], *(an_account(f"shop{number}") for number in range(30)))
        racing = [submitted(node, edit(account, remark=str(node))) for account in accounts for node in nodes]
        settlements = await asyncio.gather(*racing)
        assert sum(isinstance(settlement, Committed) for settlement in settlements) == 30
        contents = await nodes[1].load()
        assert {account.generation for account in contents.accounts.values()} == {2}
        assert fold(await nodes[0].journal()) == {
            name: projection(account) for name, account in contents.accounts.items()
        }

    async def test_a_reader_who_polls_for_later_positions_loses_no_entry(self, nodes: list[DBManager]) -> None:
        drafts = [an_account(f"shop{number}") for number in range(20)]
        accounts = await created(nodes[0], *drafts)
        seen: list[JournalEntry] = []
        working = True

        async def poll() -> None:
            while working:
                await take()

        async def take() -> None:
            last = seen[-1].rev if seen else 0
            seen.extend(await nodes[0].journal(after_rev=last))

        async def write(node: DBManager, account: Account) -> None:
            for number in range(40):
                change = edit(account, remark=f"{number}")
                assert change.new is not None
                await committed(node, change)
                account = change.new

        polling = asyncio.create_task(poll())
        await asyncio.gather(*(write(nodes[index % 2], account) for index, account in enumerate(accounts)))
        working = False
        await polling
        await take()
        every = await nodes[1].journal()
        assert len(every) == 20 + 20 * 40
        assert seen == every

    async def test_a_lost_link_is_noticed_before_the_commit_and_mended(
        self, nodes: list[DBManager], place: Place
    ) -> None:
        (account,) = await created(nodes[0], an_account())
        database = await place.open_again(data_dir=place.data_dir.with_name("killer"))
        kill = text(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        await database.write(lambda connection: connection.scalar(kill))
        (entry,) = await committed(nodes[0], edit(account, remark="x"))
        assert entry.generation == 2
        assert (await living(nodes[1], "shop")).remark == "x"


async def test_credentials_hold_for_the_cookie_they_are_based_on(
    database: Database, manager: DBManager, vault: Vault
) -> None:
    now = 1_000_000
    credentials = Credentials(database, vault, now_ms=lambda: now)
    (account,) = await created(manager, an_account())
    assert await credentials.jar(account) is None
    assert await credentials.token(account) is None
    assert await credentials.save_jar("shop", {"a": "1", "b": "值"}, 1)
    assert await credentials.save_jar("shop", {"a": "2"}, 1)
    assert await credentials.jar(account) == {"a": "2"}
    assert await credentials.save_token("shop", device_id="dev", access_token="t", expires_at_ms=now + 10, based_on=1)
    token = await credentials.token(account)
    assert token is not None
    assert (token.device_id, token.access_token, token.expires_at_ms, token.based_on) == ("dev", "t", now + 10, 1)
    assert "access_token" not in repr(token)

    await committed(manager, edit(account, cookie="cookie2=new", cookie_version=2))
    renewed = await living(manager, "shop")
    assert await credentials.jar(renewed) is None
    assert await credentials.token(renewed) is None
    assert not await credentials.save_jar("shop", {"a": "late"}, 1)
    assert not await credentials.save_token(
        "shop", device_id="dev", access_token="late", expires_at_ms=now + 10, based_on=1
    )
    assert await credentials.save_jar("shop", {"a": "3"}, 2)
    assert await credentials.jar(renewed) == {"a": "3"}
    assert not await credentials.save_jar("nobody", {}, 1)


async def test_a_device_is_made_once_and_survives_its_token(
    database: Database, manager: DBManager, vault: Vault
) -> None:
    (account,) = await created(manager, an_account())
    now = 1_000_000
    credentials = Credentials(database, vault, now_ms=lambda: now)
    names = iter(f"device{number}" for number in range(100))
    first = await asyncio.gather(*(credentials.device_id("shop", lambda: next(names)) for _ in range(8)))
    assert len(set(first)) == 1
    await credentials.save_token("shop", device_id=first[0], access_token="t", expires_at_ms=now + 1, based_on=1)
    await credentials.forget_token("shop")
    assert await credentials.token(account) is None
    assert await credentials.device_id("shop", lambda: next(names)) == first[0]
    await credentials.save_token("shop", device_id=first[0], access_token="t", expires_at_ms=now, based_on=1)
    assert await credentials.token(account) is None  # expired
    with pytest.raises(StoreError):
        await credentials.device_id("nobody", lambda: "x")
