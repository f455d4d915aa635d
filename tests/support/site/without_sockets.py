"""One shop whose site is a stand-in behind the HTTP session: no socket is opened, all else is the real thing.

The database is SQLite in a file, the manager, the connection and the frames are those of a server.
"""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from email.utils import formatdate
from itertools import count
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import Any

import aiohttp
from multidict import CIMultiDict
from yarl import URL

from shoal.accounts.account import Account
from shoal.accounts.account_task import Link
from shoal.accounts.cookie_manager import CookieManager
from shoal.assistant.assistant import Assistant
from shoal.assistant.contexts import Item
from shoal.assistant.model_calls import ModelCalls
from shoal.assistant.provider_store import ProviderStore
from shoal.clock import now_ms
from shoal.concurrency.fair_limiter import evenly
from shoal.config import Settings
from shoal.connection.xianyu_live import ConnectionDeps, XianyuLive
from shoal.goods.unit_messages import UnitMessages
from shoal.goods.unit_texts import UnitTexts
from shoal.items.item_lists import ItemLists
from shoal.items.item_pages import ItemPages
from shoal.maintenance.backup.new_life import restored_at_ms
from shoal.messages.live_connections import LiveConnections
from shoal.messages.message_log import LoggedMessage, MessageLog
from shoal.messages.outbox_rows import Sending
from shoal.messages.sender import Sender
from shoal.network.outbound import Outbound
from shoal.orders.order_store import OrderStore
from shoal.orders.spec_pages import SpecPages
from shoal.pictures.picture_files import PictureFiles
from shoal.pictures.uploaded_pictures import UploadedPictures
from shoal.sandbox import cards, codec
from shoal.storage.credentials import Credentials
from shoal.storage.database import Database
from shoal.storage.db_manager import DBManager, open_vault
from shoal.storage.sync_cursors import SyncCursors
from support.runs.quick_start import blank_database
from support.site.packed_pushes import encode_entry
from support.site.standins import ANN, QUICK, cookie_of, unb_of, until

ME, BUYER, CHAT, ITEM = unb_of(1), unb_of(77), "51000000001", "800000000001"
SEND = "/r/MessageSend/sendByReceiverScope"
HISTORY = "/r/MessageManager/listUserMessages"


class StandInSite:
    """The site behind one HTTP session: takes the place of the session, its one web socket and its answers."""

    def __init__(self) -> None:
        self.cookie_jar = aiohttp.DummyCookieJar()
        self.frames: list[dict[str, Any]] = []
        """All frames that came, oldest first."""
        self.silent: list[str] = []
        """Paths of which the next frame gets no answer; one entry for each."""
        self.held: list[str] | None = None
        """The answers to messages that are held back; ``None``: none is."""
        self.refusal: dict[str, object] | None = None
        """The body with which every message is refused."""
        self.calls: list[str] = []
        """The names of the signed calls that came."""
        self.answers: dict[str, dict[str, Any]] = {}
        """The ``data`` of the calls whose names end so."""
        self.refused_calls: dict[str, str] = {}
        """The ``ret`` of the calls that are refused, by the end of their names."""
        self.before_answer: Callable[[str], object] = lambda _: None
        """Called with the path of each frame before it is answered."""
        self.on_call: Callable[[str], object] = lambda _: None
        """Called with the name of each signed call."""
        self.history: list[dict[str, Any]] = []
        """The stored messages of every chat, newest first."""
        self.history_refusal: dict[str, object] | None = None
        """The body with which every request for a history is refused."""
        self.close_code: int | None = None
        self._inbox: asyncio.Queue[aiohttp.WSMessage] = asyncio.Queue()
        self._numbers = count(1)

    # ── in the place of the HTTP session and its web socket ─────────────────────────────────────────────────────

    async def ws_connect(self, url: str, **_: object) -> StandInSite:
        self._inbox = asyncio.Queue()
        return self

    async def receive(self) -> aiohttp.WSMessage:
        return await self._inbox.get()

    async def send_str(self, text: str) -> None:
        frame = json.loads(text)
        self.frames.append(frame)
        path = str(frame.get("lwp", ""))
        self.before_answer(path)
        if not path or path in self.silent:
            if path in self.silent:
                self.silent.remove(path)
            return
        reply = {"code": 200, "headers": {"mid": frame["headers"]["mid"]}, "body": self._body(path)}
        if path == SEND and self.held is not None:
            self.held.append(json.dumps(reply))
        else:
            self._put(json.dumps(reply))

    async def close(self) -> None:
        self.hangs_up()

    @asynccontextmanager
    async def get(self, url: str, **_: object) -> AsyncIterator[object]:
        """Answer who asks for the time, which is that of this machine."""
        yield SimpleNamespace(status=200, headers={"Date": formatdate(now_ms() / 1000, usegmt=True)}, url=URL(url))

    @asynccontextmanager
    async def post(self, url: str, **_: object) -> AsyncIterator[object]:
        api = url.split("/h5/")[1].split("/", maxsplit=1)[0]
        self.calls.append(api)
        self.on_call(api)
        ret = next((ret for name, ret in self.refused_calls.items() if api.endswith(name)), "SUCCESS::ok")
        data = next((data for name, data in self.answers.items() if api.endswith(name)), {"accessToken": "t1"})

        async def chunks(_: int) -> AsyncIterator[bytes]:
            yield json.dumps({"ret": [ret], "data": data}).encode()

        body = SimpleNamespace(iter_chunked=chunks)
        yield SimpleNamespace(
            status=200, content_type="application/json", headers=CIMultiDict(), url=URL(url), content=body
        )

    # ── what a test does and sees ───────────────────────────────────────────────────────────────────────────────

    def says(
        self, text: str, *, chat: str = CHAT, by: str = BUYER, message_id: str = "", at_ms: int | None = None
    ) -> str:
        """Push a message; returns its id."""
        return self.pushes(codec.text_content(text), summary=text, chat=chat, by=by, message_id=message_id, at_ms=at_ms)

    def has_said(self, text: str, *, at_ms: int, message_id: str) -> None:
        """Keep a text of the shop in the history, without pushing it."""
        content = codec.text_content(text)
        data = base64.b64encode(content.encode()).decode()
        line = codec.ChatLine(
            message_id=message_id, cid=CHAT, sender_id=ME, sender_nick="鱼铺", peer_id=BUYER, peer_mask="t***1",
            item_id=ITEM, created_ms=at_ms, hex_id="0" * 32, summary=text, content=content, content_type=codec.TEXT,
        )  # fmt: skip
        message = {
            "messageId": message_id, "cid": codec.address(CHAT), "createAt": at_ms,
            "sender": {"uid": codec.address(ME)},
            "content": {"contentType": 101, "custom": {"type": 1, "summary": text, "data": data}},
            "extension": codec.reminder(line),
        }  # fmt: skip
        self.history.insert(0, {"message": message})

    def pays(self, order_id: str, kind: str = "paid", *, at_ms: int | None = None) -> str:
        """Push the card that says that the buyer has paid, or another one; returns the message's id."""
        extra = cards.card_extra(kind, order_id, cid=CHAT, hex_id="0" * 32, receiver_id=ME)
        content, summary = cards.card_content(kind, order_id), cards.CARDS[kind].reminder
        return self.pushes(content, summary=summary, content_type=codec.TRADE_CARD, extra=extra, at_ms=at_ms)

    def payload(self, payload: dict[str, Any]) -> None:
        """Push one entry as it is: a payload with text keys."""
        number = next(self._numbers)
        package = {"maxPts": now_ms() * 1000 + number, "data": [{"data": encode_entry(payload)}]}
        self._put(
            json.dumps({"lwp": "/s/sync", "headers": {"mid": f"p{number} 0"}, "body": {"syncPushPackage": package}})
        )

    def pushes(
        self, content: str, *, summary: str, chat: str = CHAT, by: str = BUYER, message_id: str = "",
        at_ms: int | None = None, content_type: int = codec.TEXT, extra: dict[str, str] | None = None,
    ) -> str:  # fmt: skip
        """Push a message with that content."""
        number = next(self._numbers)
        line = codec.ChatLine(
            message_id=message_id or f"{number}.PNM", cid=chat, sender_id=by, sender_nick="小鱼", peer_id=BUYER,
            peer_mask="t***1", item_id=ITEM, created_ms=now_ms() if at_ms is None else at_ms, hex_id="0" * 32,
            summary=summary, content=content, content_type=content_type, extra=extra or {},
        )  # fmt: skip
        package = {"maxPts": now_ms() * 1000 + number, "data": [{"data": codec.encode(codec.chat_message(line))}]}
        push = {"lwp": "/s/sync", "headers": {"mid": f"p{number} 0", "sid": "s"}, "body": {"syncPushPackage": package}}
        self._put(json.dumps(push))
        return line.message_id

    def release(self) -> None:
        """Give the answers that are held back, and hold none any more."""
        for text in self.held or ():
            self._put(text)
        self.held = None

    def garbles(self) -> None:
        """Push an unreadable entry."""
        package = {"maxPts": now_ms() * 1000 + next(self._numbers), "data": [{"data": "!"}]}
        self._put(json.dumps({"lwp": "/s/sync", "headers": {"mid": "g 0"}, "body": {"syncPushPackage": package}}))

    def kicks_out(self) -> None:
        """Push that another client has taken the login."""
        self._put(json.dumps({"lwp": "/push/kickout", "headers": {"mid": "k 0"}, "body": {}}))

    def hangs_up(self) -> None:
        """End the web socket."""
        self._inbox.put_nowait(aiohttp.WSMessage(aiohttp.WSMsgType.CLOSED, None, None))

    @property
    def said(self) -> list[str]:
        """The texts that the shop sent."""
        return [text for text, _ in self.said_as]

    @property
    def said_as(self) -> list[tuple[str, str]]:
        """The same, each with its uuid."""
        messages = [frame["body"][0] for frame in self.frames if frame.get("lwp") == SEND]
        return [(_text_of(message), message["uuid"]) for message in messages]

    def acknowledged(self) -> int:
        """How many pushes were acknowledged."""
        return sum(1 for frame in self.frames if "lwp" not in frame)

    def _body(self, path: str) -> dict[str, object]:
        if path == SEND:
            return self.refusal or {"messageId": f"s{next(self._numbers)}.PNM"}
        if path.endswith("listNewestPagination"):
            return {"userConvs": []}
        if path == HISTORY:
            return self.history_refusal or {"userMessageModels": self.history, "hasMore": 0}
        return {"timestamp": now_ms()} if path == "/reg" else {}

    def _put(self, text: str) -> None:
        self._inbox.put_nowait(aiohttp.WSMessage(aiohttp.WSMsgType.TEXT, text, None))


def _text_of(message: dict[str, Any]) -> str:
    content = json.loads(base64.b64decode(message["content"]["custom"]["data"]))
    return str(content["text"]["text"])


class OneShop:
    """A manager with one account, ``shop``, over a database that can be opened again, as after a restart."""

    def __init__(self, data_dir: Path, site: StandInSite) -> None:
        self.site = site
        self.manager: CookieManager
        self.database: Database
        self.log: MessageLog
        self.orders: OrderStore
        self.providers: ProviderStore
        self.calls: ModelCalls
        self.item_pages: ItemPages
        self.items: dict[str, Item] = {}
        """What is known of items when a language model is asked about them."""
        self._data_dir = data_dir
        self._live = LiveConnections()
        self._stack = AsyncExitStack()

    async def open(self, **settings: Any) -> None:
        """Start everything."""
        quick = {"reply_debounce_seconds": 0.0, "send_timeout_seconds": 20.0, "order_calls_per_second": 100.0}
        config = Settings(**{**quick, **settings})
        database = self.database = await Database(self._data_dir).open()
        self._stack.push_async_callback(database.close)
        vault = await open_vault(database, self._data_dir / "key")
        texts = await UnitTexts.load(database, vault)
        self.texts, sealed = texts, UnitMessages(texts)
        self.log, self.orders = MessageLog(database, sealed=sealed), OrderStore(database, texts=texts)
        self.item_pages = ItemPages(database, ItemLists(self._live))
        self._stack.push_async_callback(self.item_pages.close)
        self.providers, self.calls = ProviderStore(database, vault), ModelCalls(Outbound.of("all"))
        self._stack.push_async_callback(self.calls.close)
        deps = ConnectionDeps(
            session=self.site,  # type: ignore[arg-type]
            settings=config,
            credentials=Credentials(database, vault),
            message_log=self.log,
            order_store=self.orders,
            pictures=PictureFiles(self._data_dir / "pictures"),
            uploaded=UploadedPictures(database),
            positions=SyncCursors(database),
            token_calls=evenly(100.0),
            spec_pages=SpecPages(database, self.item_pages),
            models=Assistant(database, self.providers, self.calls, self.item_of),
            rng=Random(3),
            restored_at_ms=await restored_at_ms(database),
        )

        async def connect(account: Account, link: Link) -> None:
            await XianyuLive(account, link, deps).main()

        self.manager = CookieManager(DBManager(database, vault), connect, config, rng=Random(3), backoff=QUICK)
        await self.manager.open()
        self._stack.push_async_callback(self.manager.close)

    async def close(self) -> None:
        """Stop everything."""
        await self._stack.aclose()
        self._stack = AsyncExitStack()

    async def reopen(self, **settings: Any) -> None:
        """Stop and start again, as a restart does."""
        await self.close()
        await self.open(**settings)

    async def add(self, **settings: Any) -> None:
        """Add the account, and wait until it runs."""
        await self.manager.add_cookie("shop", cookie_of(1), owner_id=1, caller=ANN)
        await self.set(**settings)
        await self.running()

    async def stop(self) -> None:
        """Disable the account, and wait until its connection has ended."""
        await self.manager.update_cookie_status("shop", False, caller=ANN)
        await until(lambda: self.manager.observation("shop").state == "stopped")

    async def set(self, **settings: Any) -> None:
        """Change the account; ``keywords`` are pairs of a word and its reply."""
        keywords = settings.pop("keywords", None)
        if keywords is not None:
            await self.manager.update_keywords("shop", list(keywords.items()), caller=ANN)
        if "auto_confirm" in settings:
            await self.manager.update_auto_confirm_setting("shop", settings.pop("auto_confirm"), caller=ANN)
        if settings:
            await self.manager.update_settings("shop", settings, caller=ANN)

    async def item_of(self, _: Account, item_id: str) -> Item:
        """What is known of an item."""
        return self.items.get(item_id, Item())

    async def running(self) -> None:
        """Wait until the account runs."""
        await until(lambda: self.manager.observation("shop").state == "running")

    @property
    def live(self) -> LiveConnections:
        """The connections that are up."""
        return self._live

    @property
    def sender(self) -> Sender:
        """The sender of the connection that is up."""
        sender = self._live.sender("shop")
        assert sender is not None
        return sender

    async def decided(self, message_id: str, decision: str) -> LoggedMessage:
        """A message, once that is decided about it."""
        found: list[LoggedMessage] = []
        async with asyncio.timeout(60):
            while True:
                found = [one for one in await self.log.list_messages(["shop"]) if one.message.message_id == message_id]
                if found and found[0].message.decision == decision:
                    return found[0]
                await asyncio.sleep(0.005)

    async def sendings(self, *outcomes: str) -> list[Sending]:
        """The sendings, oldest first, once their outcomes are these."""
        async with asyncio.timeout(60):
            while True:
                found = (await self.log.outbox.list_sendings(["shop"]))[::-1]
                if [one.outcome.value for one in found] == list(outcomes):
                    return found
                await asyncio.sleep(0.005)


@asynccontextmanager
async def one_shop(tmp_path: Path, **settings: Any) -> AsyncIterator[OneShop]:
    """An open shop without its account."""
    await blank_database(tmp_path / "data")
    shop = OneShop(tmp_path / "data", StandInSite())
    await shop.open(**settings)
    try:
        yield shop
    finally:
        await shop.close()
