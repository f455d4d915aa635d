"""Data of older versions opens with today's code, with all that it held; a copy is whole or has no name."""

from __future__ import annotations

import contextlib
import re
import resource
import signal
import sqlite3
import subprocess
import sys
import tempfile
from pathlib import Path
from random import Random
from typing import Any

import pytest
from sqlalchemy import Connection, inspect

from shoal.accounts.journal import fold, projection
from shoal.api.server import Server
from shoal.auth.permission import Permission
from shoal.config import Settings
from shoal.errors import ConfigError
from shoal.server.reply_server import build_app
from shoal.storage.data_directory import DATABASE_FILE
from shoal.storage.database import Database
from shoal.storage.db_manager import DBManager, open_vault
from shoal.storage.migrations import steps
from support.databases.store_steps import baselines_of
from support.servers.doors import client_of, living
from support.site.standins import FakeSite, quick_settings
from upgrades.make_fixture import KEY, PASSWORD, SAID_AT_MS

pytestmark = pytest.mark.filterwarnings("ignore:Did not recognize type 'xid8'")

FIXTURES = Path(__file__).parent / "fixtures"
NAMES = sorted(path.stem for path in FIXTURES.glob("*.sql"))
MIGRATIONS = sorted(path.name[:4] for path in Path(steps.__file__).parent.glob("versions/0*.py"))
BEFORE_DELIVERY_RULES = [name for name in NAMES if name < "0015"]
"""Migrations alone; ``v0.1.0`` is one of them."""
CHANGELOG = Path(__file__).parents[2] / "CHANGELOG.md"
KEPT = {
    "message_days": 36500,
    "journal_days": 36500,
    "op_days": 36500,
    "state_history_days": 36500,
    "session_idle_hours": 0,
}
THE_SITE = {
    name: Settings.model_fields[name].default
    for name in ("site_mtop_url", "site_ws_url", "site_passport_url", "site_upload_url")
}
"""That of the data; nothing is said to it, since the connection is a stand-in."""
_of_today: dict[str, Any] = {}


def lay(name: str, data_dir: Path) -> None:
    """Put the data of that version into a data directory."""
    data_dir.mkdir(mode=0o700)
    with contextlib.closing(sqlite3.connect(data_dir / DATABASE_FILE)) as connection:
        connection.executescript((FIXTURES / f"{name}.sql").read_text(encoding="utf-8"))


def test_f2_each_migration_and_each_release_has_data_of_the_version_that_brought_it() -> None:
    releases = {f"v{number}" for number in re.findall(r"^## (\d+\.\d+\.\d+) ", CHANGELOG.read_text(), re.MULTILINE)}
    assert releases
    assert set(NAMES) == set(MIGRATIONS) | releases


@pytest.mark.parametrize("name", NAMES)
async def test_f2_data_of_an_older_version_opens_with_all_that_it_held(name: str, tmp_path: Path) -> None:
    lay(name, tmp_path / "data")
    settings = quick_settings(data_dir=tmp_path / "data", secret_key=KEY, **THE_SITE, **KEPT)
    app = build_app(settings, connect=FakeSite().connect)
    async with living(app):
        server: Server = app.state.server
        await holds_the_shops(server)
        shop = server.manager.account("shop")
        browser = '{"user_agent":"Firefox/145.0","language":"zh-CN"}'
        assert (shop.browser, shop.name) == ((browser, "鱼铺") if migration_of(name) >= "0010" else (None, ""))
        told = server.manager.observation("shop").seller_name
        assert told == ("小鱼杂货铺" if migration_of(name) >= "0012" else "")
        await holds_the_past(server)
        await holds_the_numbers(server, name)
        await lets_users_in(server, app, name)
    copies = [path for path in (tmp_path / "data").iterdir() if ".before-" in path.name]
    assert [f".before-{migration_of(name)}-" in path.name for path in copies] == [True] * (
        migration_of(name) != MIGRATIONS[-1]
    )
    await is_as_one_of_today(tmp_path / "data", settings)


@pytest.mark.parametrize(
    "name",
    [
        name if name in {"0001", "0014"} else pytest.param(name, marks=pytest.mark.long)
        for name in BEFORE_DELIVERY_RULES
    ],
)
async def test_f2_buyers_get_what_they_got_before_there_were_delivery_rules(name: str, tmp_path: Path) -> None:
    lay(name, tmp_path / "data")
    draw = Random(name)
    rows = [
        (f"7{number}", draw.choice(("", "在")), draw.choice(("", f"货 {number}")), draw.random() < 0.3)
        for number in range(60)
    ]
    with contextlib.closing(sqlite3.connect(tmp_path / "data" / DATABASE_FILE)) as connection, connection:
        connection.executemany("INSERT INTO item_settings VALUES ('shop', ?, ?, ?, ?)", rows)
        before = connection.execute("SELECT id, enabled, auto_confirm, paid_message FROM accounts WHERE NOT deleted")
        switches = {row[0]: (bool(row[1]), True, True, bool(row[2]), row[3]) for row in before}
    async with Database(tmp_path / "data") as database:
        manager = DBManager(database, await open_vault(database, tmp_path / "secret.key", KEY))
        found = {shop: await manager.get_cookie_details(shop) for shop in switches}
    items = [(item.item_id, item.reply, item.paid_message, item.nothing_to_send) for item in found["shop"].items]
    assert items == sorted([*rows, ("900001", "这件包邮", "", False)])
    assert switches == {
        shop: (account.enabled, account.replies, account.delivery, account.auto_confirm, account.paid_message)
        for shop, account in found.items()
    }


def migration_of(name: str) -> str:
    """The last migration of the data."""
    data = (FIXTURES / f"{name}.sql").read_text(encoding="utf-8")
    found = re.search(r"""^INSERT INTO "alembic_version" VALUES\('(\d+)'\)""", data, re.MULTILINE)
    assert found is not None
    return found[1]


async def holds_the_shops(server: Server) -> None:
    """Settings, rules, items and secrets of every shop that was not removed."""
    assert set(server.manager.accounts) - {"twin"} == {"shop", "quiet"}
    shop, quiet = server.manager.account("shop"), server.manager.account("quiet")
    assert shop.cookie == "unb=100000001; cookie2=of-shop; _m_h5_tk=a_1"
    assert (shop.enabled, quiet.enabled, shop.auto_confirm, shop.pause_duration) == (True, False, True, 25)
    assert (shop.remark, shop.paid_message) == ("备注 shop", "网盘链接")
    said = [(rule.words, [part.text for part in rule.parts]) for rule in shop.keywords]
    assert said == [(("在吗",), ["在的"]), (("多少钱",), ["标价"])]
    assert [(item.item_id, item.reply) for item in shop.items] == [("900001", "这件包邮")]
    assert (await server.credentials.jar(shop)) == {"unb": "100000001", "cookie2": "rotated"}
    token = await server.credentials.token(shop)
    assert token is not None
    assert (token.device_id, token.access_token) == ("device-of-shop", "token-of-shop")


async def holds_the_past(server: Server) -> None:
    """Messages, the list of chats, orders, and a journal that folds to the shops as they are."""
    messages = await server.message_log.list_messages(["shop"])
    assert [logged.message.text for logged in messages] == ["多少钱", "在的", "在吗"]
    chats = await server.chats.list_chats(["shop"], now_ms=SAID_AT_MS)
    assert [(chat.chat_id, chat.buyer_id, chat.buyer_name, chat.item_id, chat.last_at_ms) for chat in chats] == [
        ("c2", "200000002", "柠檬不酸", "900001", SAID_AT_MS + 2000),
        ("c1", "200000001", "北方的狼", "900001", SAID_AT_MS + 1000),
    ]
    assert [(chat.last_text, chat.last_direction) for chat in chats] == [("多少钱", "in"), ("在的", "out")]
    (order,) = await server.order_store.orders(["shop"])
    assert (order.order_id, order.status, order.buyer_id, order.item_id) == ("o1", "completed", "200000001", "900001")
    assert [event.status for event in await server.order_store.events("shop", "o1")] == ["completed"]
    folded = fold(await server.store.journal(), (await baselines_of(server.store)).values())
    assert folded == {name: projection(account) for name, account in server.manager.accounts.items()}


async def holds_the_numbers(server: Server, name: str) -> None:
    """The shop that the site let in holds its seller's number; another owner's shop may name the same number."""
    assert await server.store.number_holders() == {"100000001": "shop"}
    twin = server.manager.accounts.get("twin")
    assert (twin is not None) is (name >= "0009")
    if twin is not None:
        assert (twin.unb, twin.owner_id != server.manager.account("shop").owner_id) == ("100000001", True)


async def lets_users_in(server: Server, app: Any, name: str) -> None:
    """By their passwords, by the sign-in they had, and where there was one by a token."""
    async with client_of(app) as client:
        answer = await client.post("/login", json={"username": "mei", "password": PASSWORD})
        assert answer.status_code == 200, answer.text
    session = await server.database.fact("fixture:session")
    assert session is not None
    script = await server.database.fact("fixture:api-token")
    assert (script is not None) is (name >= "0007")
    for token in filter(None, (session, script)):
        async with client_of(app, token) as client:
            assert set((await client.get("/cookies")).json()) == {"shop", "quiet"}
    if name >= "0007":
        staff = server.authorization.staff_of(server.manager.account("shop"))
        assert [(entry.user_id, entry.permission) for entry in staff] == [(3, Permission.REPLY)]


async def is_as_one_of_today(data_dir: Path, settings: Settings) -> None:
    """Tables and indexes as a new database has them, and the binding to every address of the site."""
    async with Database(data_dir) as database:
        bound = await database.fact("site")
        assert await database.read(structure) == await structure_of_today()
    site = (settings.site_ws_url, settings.site_mtop_url, settings.site_passport_url, settings.site_upload_url)
    assert bound == " ".join(site)


async def structure_of_today() -> dict[str, Any]:
    """The structure of a new database, which is made once."""
    if not _of_today:
        with tempfile.TemporaryDirectory() as directory:
            async with Database(Path(directory)) as new:
                _of_today.update(await new.read(structure))
    return _of_today


def structure(connection: Connection) -> dict[str, Any]:
    """Columns, unique constraints and indexes (with what they are limited to) of every table."""
    inspector = inspect(connection)
    return {
        table: (
            {(column["name"], str(column["type"]), column["nullable"]) for column in inspector.get_columns(table)},
            {tuple(entry["column_names"]) for entry in inspector.get_unique_constraints(table)},
            {
                (
                    index["name"],
                    *index["column_names"],
                    index["unique"],
                    str(index.get("dialect_options", {}).get("sqlite_where")),
                )
                for index in inspector.get_indexes(table)
            },
        )
        for table in inspector.get_table_names()
    }


async def test_f2_data_of_another_site_is_still_refused(tmp_path: Path) -> None:
    lay("0001", tmp_path / "data")
    app = build_app(
        quick_settings(data_dir=tmp_path / "data", secret_key=KEY, site_ws_url="wss://elsewhere.example/"),
        connect=FakeSite().connect,
    )
    with pytest.raises(ConfigError, match="belongs to the site wss://wss-goofish"):
        async with app.router.lifespan_context(app):
            pass


def dies_in_its_copy(data_dir: Path) -> subprocess.CompletedProcess[bytes]:
    """A start whose process the kernel kills as soon as one of its files has grown so large."""

    def limited() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (120_000, 120_000))

    script = (
        "import asyncio, signal, sys; from pathlib import Path; from shoal.storage.database import Database; "
        "signal.signal(signal.SIGXFSZ, signal.SIG_DFL); asyncio.run(Database(Path(sys.argv[1])).open())"
    )
    return subprocess.run(
        [sys.executable, "-c", script, str(data_dir)], preexec_fn=limited, capture_output=True, check=False
    )


async def test_f2_a_copy_before_a_migration_that_a_death_cut_off_has_no_name_and_goes_at_the_next_start(
    tmp_path: Path,
) -> None:
    data_dir = tmp_path / "data"
    lay("0007", data_dir)
    assert (data_dir / DATABASE_FILE).stat().st_size > 120_000
    died = dies_in_its_copy(data_dir)
    assert died.returncode == -signal.SIGXFSZ, died.stderr.decode()
    left = {path.name for path in data_dir.iterdir() if ".before-" in path.name}
    assert left
    assert all(steps.PARTIAL in name for name in left)
    async with Database(data_dir):
        pass
    (copy,) = [path for path in data_dir.iterdir() if ".before-" in path.name]
    with contextlib.closing(sqlite3.connect(copy)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert connection.execute("SELECT version_num FROM alembic_version").fetchone() == ("0007",)
