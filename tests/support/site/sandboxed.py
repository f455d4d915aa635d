"""A real sandbox on a real socket, a real database in a file, and a manager whose connections are ``XianyuLive``."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from random import Random
from types import ModuleType, SimpleNamespace
from typing import Any

import aiohttp
import pytest

from shoal import clock
from shoal.accounts.account import Account, AccountState
from shoal.accounts.account_task import Link
from shoal.accounts.backoff import BackoffLimits
from shoal.accounts.callers import Outcome
from shoal.accounts.cookie_manager import CookieManager
from shoal.concurrency.fair_limiter import evenly
from shoal.config import Settings
from shoal.connection import xianyu_live
from shoal.connection.push_counts import PushCounts
from shoal.connection.xianyu_live import ConnectionDeps, XianyuLive
from shoal.goods.unit_messages import UnitMessages
from shoal.goods.unit_texts import UnitTexts
from shoal.items.item_lists import ItemLists
from shoal.items.item_pages import ItemPages
from shoal.messages import conversations
from shoal.messages.live_connections import LiveConnections
from shoal.messages.message_log import MessageLog
from shoal.network.outbound import Outbound
from shoal.orders.order_store import OrderStore
from shoal.orders.spec_pages import SpecPages
from shoal.pictures.picture_files import PictureFiles
from shoal.pictures.uploaded_pictures import UploadedPictures
from shoal.sandbox import World, build_sandbox, strict_policy
from shoal.sandbox.site import Site
from shoal.storage.credentials import Credentials
from shoal.storage.database import Database
from shoal.storage.db_manager import DBManager, open_vault
from shoal.storage.sync_cursors import SyncCursors
from shoal.xianyu.site_session import open_site_session
from support.orders.suppliers import supplier_units
from support.servers.served import served
from support.site.standins import ANN, QUICK, until

UNANSWERED = 1.0
"""Seconds until a message counts as unanswered, in a test about that: no machine is so busy for the others."""
IDENTITY = ("one_browser", "reg_agent", "few_devices")
"""The rules that Shoal keeps though the site does not ask for them."""
QUICK_SITE: dict[str, Any] = {
    "reply_debounce_seconds": 0.05,
    "heartbeat_seconds": 0.5,
    "heartbeat_timeout_seconds": 30.0,
    "site_timeout_seconds": 30.0,
    "send_timeout_seconds": 30.0,
    "start_wait_seconds": 60.0,
    "stop_wait_seconds": 60.0,
    "token_calls_per_second": 100.0,
    "order_calls_per_second": 100.0,
}


class Hours:
    """Time that a test moves on, for the site and for us alike: ``with reading(hours.now_ms)``."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self._ahead_ms = 0

    def now_ms(self) -> int:
        """The machine's time and what was added to it."""
        return time.time_ns() // 1_000_000 + self._ahead_ms

    async def pass_by(self, seconds: float) -> None:
        """Let time pass."""
        self._ahead_ms += round(seconds * 1000)
        await self._sandbox.do("clock", advance=seconds)


class Machine:
    """The machine's clocks, as a test sets them for us and not for the sandbox.

    ``shown_ahead_ms`` is what its wall clock shows beyond the true time; ``passed_ms`` is what goes by for all clocks.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.shown_ahead_ms = self.passed_ms = 0
        real = time.time_ns, time.monotonic_ns
        kinds = {
            "time_ns": lambda: real[0]() + (self.shown_ahead_ms + self.passed_ms) * 10**6,
            "monotonic_ns": lambda: real[1]() + self.passed_ms * 10**6,
        }
        monkeypatch.setattr(clock, "time", SimpleNamespace(**kinds))


class Waits:
    """The long waits of a module, which end when the test says so: for the end of a burst, a rule's delay, an echo."""

    SECONDS = 30.0
    """A wait of such a test. What is much shorter passes by itself."""
    DELAY = (SECONDS, SECONDS)
    """The delay of a rule that waits."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, module: ModuleType = conversations) -> None:
        self.begun = 0
        """How many have begun: the burst is known, or its answer is chosen, or its echo is awaited."""
        self._over = asyncio.Event()
        self._ahead = 0.0
        self._loop = asyncio.get_running_loop()
        ours = {"sleep": self._sleep, "get_running_loop": lambda: SimpleNamespace(time=self._time)}
        monkeypatch.setattr(module, "asyncio", SimpleNamespace(**{**vars(asyncio), **ours}))

    def _time(self) -> float:
        return self._loop.time() + self._ahead

    async def _sleep(self, seconds: float) -> None:
        if seconds < self.SECONDS / 2:
            await asyncio.sleep(seconds)
            return
        self.begun += 1
        await self._over.wait()
        self._ahead += seconds

    async def begin(self, count: int = 1) -> None:
        """Wait until so many have begun."""
        await until(lambda: self.begun >= count)

    def pass_by(self, seconds: float) -> None:
        """Let what is due after a while be due now."""
        self._ahead += seconds

    def end(self, *, later: bool = True) -> None:
        """End those that have begun; ``later``: and every later one at once."""
        self._over.set()
        if not later:
            self._over = asyncio.Event()


def impatient(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Let ``HistorySync`` or ``SyncCursor`` give the site up soon; all others wait as long as a busy machine needs."""
    patient = getattr(xianyu_live, name)

    def made(*values: Any, timeout_seconds: float, **named: Any) -> Any:
        return patient(*values, timeout_seconds=min(timeout_seconds, 0.2), **named)

    monkeypatch.setattr(xianyu_live, name, made)


class Sandbox:
    """The control routes of a running sandbox."""

    def __init__(self, url: str, world: World, http: aiohttp.ClientSession) -> None:
        self.url = url
        self.site: Site
        """The inside, for tests that have it."""
        self.expected: set[str] = set()
        """Strict rules that the test means to break."""
        self.world = world
        self._http = http

    async def do(self, action: str, **body: Any) -> dict[str, Any]:
        """POST a control route."""
        async with self._http.post(f"{self.url}/_sandbox/{action}", json=body) as response:
            answer: dict[str, Any] = await response.json()
            assert response.status < 300, answer
            return answer

    async def get(self, what: str, **query: str) -> dict[str, Any]:
        """GET a control route."""
        async with self._http.get(f"{self.url}/_sandbox/{what}", params=query) as response:
            assert response.status == 200, await response.text()
            answer: dict[str, Any] = await response.json()
            return answer

    async def seen(self, account: str, buyer: str) -> list[str]:
        """What the shop said in a chat, as the buyer sees it."""
        chat = await self.get(f"chats/{account}/{buyer}")
        return [line["text"] for line in chat["seen"]]

    async def seen_soon(self, account: str, buyer: str, count: int, *, seconds: float = 60.0) -> list[str]:
        """The same, once there are so many lines."""
        async with asyncio.timeout(seconds):
            while len(lines := await self.seen(account, buyer)) < count:
                await asyncio.sleep(0.02)
        return lines

    async def calls(self, api: str, account: str) -> list[dict[str, Any]]:
        """The mtop calls of an account whose name ends so."""
        items = (await self.get("calls", account=account))["items"]
        return [call for call in items if str(call["api"]).endswith(api)]

    async def sockets(self, account: str) -> dict[str, Any]:
        """Socket counts of an account."""
        counts: dict[str, Any] = (await self.get("sockets", account=account)).get(account, {})
        return {"now": 0, "max": 0, "total": 0, **counts}

    async def left(self, account: str) -> None:
        """Wait until the site has noticed that an account has no socket any more: it has read all that was sent."""
        async with asyncio.timeout(60):
            while (await self.sockets(account))["now"]:
                await asyncio.sleep(0.02)


@asynccontextmanager
async def standing_sandbox(*without: str, shops: int = 3, **levers: Any) -> AsyncIterator[Sandbox]:
    """A strict sandbox in this process, without some rules; nothing may break one of the others.

    It asks for one identity at every door too, which the site is not known to do: Shoal keeps one.
    """
    world = World(seed=5, shops=shops, policy=strict_policy(*without, also=IDENTITY, **levers))
    app = build_sandbox(world)
    async with served(app) as url, aiohttp.ClientSession() as http:
        sandbox = Sandbox(url, world, http)
        sandbox.site = app.state.site
        yield sandbox
    lines = app.state.site.strict.lines.after(0)
    broken = {(line["rule"], line["door"], line["why"]) for line in lines if line["rule"] not in sandbox.expected}
    assert not broken, sorted(broken)


def settings_for(sandbox: Sandbox, **values: Any) -> Settings:
    """Settings of a server whose site is the sandbox."""
    url = sandbox.url
    site = {
        "site_mtop_url": url,
        "site_passport_url": url,
        "site_upload_url": url,
        "site_ws_url": f"{url.replace('http', 'ws', 1)}/",
        "allow_private_targets": "127.0.0.1",
        "allowed_hosts": "shoal.test",
    }
    return Settings(**{**site, **QUICK_SITE, **values})


_OUT = {AccountState.STOPPED, AccountState.PARKED}
_WORK = {"chat", "reply", "echo", "outbox", "order", "orders", "supplier", "catch-up"}
"""What a connection names its tasks that answer, serve and catch up, before the account's id."""


def is_heartbeat(line: dict[str, Any]) -> bool:
    """Whether a line of the sandbox's frames is a heartbeat of the client."""
    return line["direction"] == "in" and isinstance(line["frame"], dict) and line["frame"].get("lwp") == "/!"


class Shoal:
    """A manager over a database that can be closed and opened again, as a restart would."""

    def __init__(self, sandbox: Sandbox, data_dir: Path) -> None:
        self.sandbox = sandbox
        self.data_dir = data_dir
        self.manager: CookieManager
        self.database: Database
        self.settings: Settings
        self.log: MessageLog
        self.pictures: PictureFiles
        self.book: OrderStore
        self.store: DBManager
        self.credentials: Credentials
        self.live_connections: LiveConnections
        self.rng = Random(3)
        self._stack = AsyncExitStack()

    def make_database(self) -> Database:
        """The database, closed."""
        return Database(self.data_dir)

    def make_session(self) -> aiohttp.ClientSession:
        """What all accounts share towards the site."""
        return open_site_session()

    async def open(self, *, backoff: BackoffLimits | None = QUICK, **settings: Any) -> None:
        """Start everything."""
        config = self.settings = settings_for(self.sandbox, **settings)
        database = self.database = await self.make_database().open()
        self._stack.push_async_callback(database.close)
        vault = await open_vault(database, self.data_dir / "key")
        self.store = DBManager(database, vault)
        self.push_counts = PushCounts()
        self.texts = await UnitTexts.load(database, vault)
        self.log = MessageLog(database, sealed=UnitMessages(self.texts))
        self.book, self.credentials = OrderStore(database, texts=self.texts), Credentials(database, vault)
        suppliers = await supplier_units(database, vault, close_seconds=0.0)
        self._stack.push_async_callback(suppliers.close)
        self.pictures = PictureFiles(self.data_dir / "uploads/images")
        session = self.make_session()
        self._stack.push_async_callback(session.close)
        item_pages = ItemPages(database, ItemLists(LiveConnections()))
        self._stack.push_async_callback(item_pages.close)
        around = ConnectionDeps(
            session=session,
            settings=config,
            credentials=self.credentials,
            message_log=self.log,
            order_store=self.book,
            spec_pages=SpecPages(database, item_pages),
            push_counts=self.push_counts,
            pictures=self.pictures,
            uploaded=UploadedPictures(database),
            positions=SyncCursors(database),
            token_calls=evenly(config.token_calls_per_second),
            rng=self.rng,
            outbound=Outbound.of(config.allow_private_targets),
            supplier_units=suppliers,
        )
        self.live_connections, self.site_time = around.live_connections, around.site_time

        async def connect(account: Account, link: Link) -> None:
            await XianyuLive(account, link, around).main()

        self.manager = CookieManager(self.store, connect, config, rng=self.rng, backoff=backoff)
        await self.manager.open()
        self._stack.push_async_callback(self.manager.close)

    async def close(self) -> None:
        """Stop everything."""
        await self._stack.aclose()
        self._stack = AsyncExitStack()

    async def add(self, account_id: str = "shop", *, number: int = 0, keywords: dict[str, str] | None = None) -> str:
        """Add one of the sandbox's sellers; returns its unb."""
        seller = list(self.sandbox.world.sellers.values())[number]
        cookie = self.sandbox.world.cookie_header(seller)
        await self.manager.add_cookie(account_id, cookie, owner_id=1, caller=ANN)
        await until(lambda: self.manager.observation(account_id).state == "running")
        if keywords:
            await self.manager.update_keywords(account_id, list(keywords.items()), caller=ANN)
        return seller.unb

    async def pass_check(self, unb: str, account_id: str = "shop") -> Outcome:
        """Do what the owner does after a check: pass it in the browser, paste the newest cookie."""
        await self.sandbox.do("faults/clear")
        passed = await self.sandbox.do("check", account=unb)
        return await self.manager.update_cookie(account_id, passed["cookie"], caller=ANN)

    def item_of(self, unb: str) -> str:
        """One item of a seller."""
        return next(iter(self.sandbox.world.seller(unb).items))

    async def runs(self, account_id: str = "shop") -> None:
        """Wait until a shop runs (again)."""
        await until(lambda: self.manager.observation(account_id).state is AccountState.RUNNING)

    async def has_taken_all(self, account_id: str = "shop") -> None:
        """Wait until a running shop has acknowledged all that the site has pushed so far: it is stored and known."""
        await until(lambda: self._has_taken_all(account_id))

    async def is_done(self, account_id: str = "shop") -> None:
        """Wait until a running shop has done all that the site has told it so far, and what follows from that.

        What it has not said or called by then, it does not say or call because of that: the site waits for no
        acknowledgement, and no task is left that would answer, serve or catch up.
        """
        await until(lambda: self._has_taken_all(account_id) and not self._is_at_work(account_id))

    async def is_out(self, account_id: str = "shop") -> None:
        """Wait until a shop is off or parked and no connection of it is left, and let it look again: it stays so."""
        await until(lambda: self.manager.observation(account_id).state in _OUT and not self._is_at_work(account_id))
        said = str(self.manager.observation(account_id).since_ms)
        seen = (await self.manager.update_settings(account_id, {"remark": said}, caller=ANN)).observation
        assert seen.state in _OUT, seen
        assert not self._is_at_work(account_id)

    async def beats(self, times: int = 1, account_id: str = "shop") -> None:
        """Wait until a shop has beaten so often from now on, and has begun what is due with each heartbeat."""
        frames, unb = self.sandbox.site.frames, self.manager.account(account_id).unb
        since = frames.last_seq
        await until(lambda: sum(is_heartbeat(line) for line in frames.after(since, account=unb)) > times)

    def _has_taken_all(self, account_id: str) -> bool:
        if self.manager.observation(account_id).state is not AccountState.RUNNING:
            return False
        return not any(
            socket.in_flight for socket in self.sandbox.site.sockets_of(self.manager.account(account_id).unb)
        )

    def _is_at_work(self, account_id: str) -> bool:
        """Whether one of those tasks is there, or a connection that is to be none."""
        kinds = _WORK | ({"connection"} if self.manager.observation(account_id).state in _OUT else set())
        names = (task.get_name().split(":", 2) for task in asyncio.all_tasks())
        return any(name[0] in kinds and name[1:2] == [account_id] for name in names)


async def looks(shoal: Shoal, unb: str, count: int) -> None:
    """Wait until the shop has looked so often from now on; all looks but the last are over then."""
    frames = shoal.sandbox.site.frames
    since = frames.last_seq

    def looked() -> int:
        asked = [line for line in frames.after(since, account=unb) if line["direction"] == "in"]
        return sum("listNewestPagination" in str(line["frame"]) for line in asked)

    await until(lambda: looked() >= count)
