import asyncio
import json
import traceback
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AbstractAsyncContextManager
from typing import Any, cast

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from shoal.errors import ActionRequired, ComeBackLater, SendUnknown, ShoalError, TemporaryFailure
from shoal.xianyu import frames, handshake, live_socket
from shoal.xianyu.browser import Browser
from shoal.xianyu.live_socket import LiveSocket, connect
from shoal.xianyu.site_session import open_site_session
from shoal.xianyu.socket_errors import GateClosed, ReplyTimeout, SendRefused, SocketClosed, TokenRefused

COOKIE = "unb=2200000000002; cookie2=secretcookie2"
ME = "2200000000002"
BUYER = "2200000000001"
CHAT = "51000000001"
Frame = dict[str, object]


class Site:
    """A real WebSocket server: keeps what it is sent and answers by a table from path to body or frame."""

    def __init__(self) -> None:
        self.url = ""
        self.session: aiohttp.ClientSession
        self.got: list[Frame] = []
        self.arrived = asyncio.Event()
        self.headers: list[tuple[str, str]] = []
        self.link: web.WebSocketResponse | None = None
        self.bodies: dict[str, object] = {"/reg": {"timestamp": 1750000000123}, "/!": None}
        self.codes: dict[str, int] = {}
        self.silent: set[str] = set()
        self.status = 101

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.headers = [(name.decode(), value.decode()) for name, value in request.raw_headers]
        if self.status != 101:
            return web.Response(status=self.status)
        self.link = web.WebSocketResponse()
        await self.link.prepare(request)
        async for message in self.link:
            frame: Frame = json.loads(message.data)
            self.got.append(frame)
            self.arrived.set()
            await self.answer(frame)
        return self.link

    async def answer(self, frame: Frame) -> None:
        lwp = str(frame.get("lwp", ""))
        if not lwp or lwp in self.silent or lwp not in self.bodies:
            return
        headers = {"mid": frames.mid_of(frame).partition(" ")[0] + " 1", "sid": "s1", "reg-uid": f"{ME}@goofish"}
        reply = {"code": self.codes.get(lwp, 200), "headers": headers, "body": self.bodies[lwp]}
        await self.push(reply)

    async def push(self, frame: object) -> None:
        assert self.link is not None
        await self.link.send_str(frame if isinstance(frame, str) else json.dumps(frame))

    async def until_got(self, lwp: str) -> None:
        while not any(frame.get("lwp") == lwp for frame in self.got):
            self.arrived.clear()
            await asyncio.wait_for(self.arrived.wait(), 20)

    def cut(self) -> None:
        """Break the link without a farewell."""
        assert self.link is not None
        transport = cast("asyncio.Transport", self.link._req.transport if self.link._req else None)
        transport.abort()

    def open(
        self, gate: Callable[[], bool] = lambda: True, max_frame_bytes: int = 1024 * 1024
    ) -> AbstractAsyncContextManager[LiveSocket]:
        return connect(
            self.session, self.url, COOKIE, Browser("Shoal-Test/1"), gate=gate, max_frame_bytes=max_frame_bytes
        )


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    site = Site()
    app = web.Application()
    app.router.add_get("/", site.handle)
    async with TestServer(app) as server, open_site_session() as session:
        site.url = str(server.make_url("/")).replace("http", "ws", 1)
        site.session = session
        yield site


async def drain(socket: LiveSocket) -> list[Frame]:
    """Return all pushes until the socket ends; the reason is raised, so it is left to the caller to expect it."""
    return [push async for push in socket.pushes()]


def push_frame(number: int) -> Frame:
    return {"lwp": "/s/sync", "headers": {"mid": f"p{number} 0", "sid": "s1"}, "body": {}}


async def next_push(socket: LiveSocket) -> Frame:
    return await asyncio.wait_for(anext(socket.pushes()), 20)


# ── opening ──


def say(
    socket: LiveSocket, text: str, *, uuid: str = "-17500000021230", timeout_seconds: float = 10.0
) -> Coroutine[Any, Any, live_socket.SendReceipt]:
    """Send a text message."""
    frame = frames.send_text(socket.names.mid(), uuid, CHAT, BUYER, ME, text)
    return socket.send(frame, uuid, timeout_seconds)


async def test_the_handshake_carries_each_header_once(site: Site) -> None:
    async with site.open():
        pass
    names = [name.lower() for name, _ in site.headers]
    assert len(names) == len(set(names))
    sent = {name.lower(): value for name, value in site.headers}
    assert sent["cookie"] == COOKIE
    assert sent["origin"] == "https://www.goofish.com"
    assert sent["user-agent"] == "Shoal-Test/1"
    assert sent["accept-language"] == "zh-CN,zh;q=0.9"
    assert sent["cache-control"] == "no-cache"
    assert "sec-websocket-extensions" not in sent


async def test_a_refused_handshake_is_temporary_and_shows_no_cookie(site: Site) -> None:
    site.status = 403
    with pytest.raises(TemporaryFailure) as failure:
        async with site.open():
            pass
    assert failure.value.code == "handshake_refused"
    assert failure.value.params["status"] == 403
    assert "secretcookie2" not in "".join(traceback.format_exception(failure.value))


async def test_a_site_that_is_not_there_is_temporary(site: Site) -> None:
    with pytest.raises(TemporaryFailure) as failure:
        async with connect(site.session, "ws://127.0.0.1:9/", COOKIE, Browser("x")):
            pass
    assert failure.value.code == "unreachable"


async def test_a_site_that_does_not_answer_the_handshake_is_temporary(site: Site) -> None:
    gone = asyncio.Event()

    async def mute(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.read(4096):
            pass
        writer.close()
        await writer.wait_closed()
        gone.set()

    server = await asyncio.start_server(mute, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server:
        with pytest.raises(TemporaryFailure):
            async with connect(
                site.session, f"ws://127.0.0.1:{port}/", COOKIE, Browser("x"), connect_timeout_seconds=0.1
            ):
                pass
        await asyncio.wait_for(gone.wait(), 20)


async def test_a_session_with_a_jar_of_its_own_is_refused(site: Site) -> None:
    async with aiohttp.ClientSession() as session:
        with pytest.raises(TypeError):
            async with connect(session, site.url, COOKIE, Browser("x")):
                pass


# ── registering ──


async def test_registering_tells_who_we_are(site: Site) -> None:
    async with site.open() as socket:
        registration = await socket.register("token", "D-1")
    assert registration == live_socket.Registration("s1", ME, 1750000000123)
    headers = frames.headers_of(site.got[0])
    assert (headers["token"], headers["did"]) == ("token", "D-1")


@pytest.mark.parametrize(
    ("code", "reason", "kind", "error_code"),
    [
        (401, "invalid token", TokenRefused, "token_refused"),
        (401, "not auth", TokenRefused, "token_refused"),
        (400, "token invalid", TokenRefused, "token_refused"),
        (400, "device id or appkey is not equal", TokenRefused, "token_refused"),
        (401, "", TokenRefused, "token_refused"),
        (401, "Connect Limit", ComeBackLater, "connect_limit"),
        (429, "too many", ComeBackLater, "connect_limit"),
        (400, "session remove", ComeBackLater, "connect_limit"),
        (401, "kickout by other", ActionRequired, "needs_owner"),
        (500, "oops", TemporaryFailure, "register_refused"),
    ],
)
async def test_a_refused_registration_says_what_to_do(
    site: Site, code: int, reason: str, kind: type[ShoalError], error_code: str
) -> None:
    site.codes["/reg"] = code
    site.bodies["/reg"] = {"reason": reason}
    async with site.open() as socket:
        with pytest.raises(kind) as refused:
            await socket.register("token", "D-1")
    assert type(refused.value) is kind
    assert refused.value.code == error_code


# ── asking ──


async def test_replies_find_their_request_whatever_their_order(site: Site) -> None:
    async with site.open() as socket:
        mids = [socket.names.mid() for _ in range(3)]
        asked = [asyncio.create_task(socket.request({"lwp": "/x", "headers": {"mid": mid}})) for mid in mids]
        await site.until_got("/x")
        for mid in reversed(mids):
            await site.push({"code": 200, "headers": {"mid": mid.partition(" ")[0]}, "body": {"for": mid}})
        replies = await asyncio.gather(*asked)
    assert [frames.body_of(reply)["for"] for reply in replies] == mids


async def test_no_reply_in_time_is_a_timeout_and_a_late_one_does_no_harm(site: Site) -> None:
    site.silent.add("/!")
    async with site.open() as socket:
        with pytest.raises(ReplyTimeout):
            await socket.heartbeat(0.05)
        await site.push({"code": 200, "headers": {"mid": frames.mid_of(site.got[0])}})
        site.silent.clear()
        await socket.heartbeat()


async def test_a_heartbeat_that_is_refused_is_told(site: Site) -> None:
    site.codes["/!"] = 401
    async with site.open() as socket:
        with pytest.raises(TokenRefused):
            await socket.heartbeat()


async def test_a_request_needs_a_mid_of_its_own(site: Site) -> None:
    async with site.open() as socket:
        with pytest.raises(ValueError, match="mid"):
            await socket.request({"lwp": "/x"})


async def test_all_who_wait_are_told_at_once_when_the_link_breaks(site: Site) -> None:
    async with site.open() as socket:
        asked = [
            asyncio.create_task(socket.request({"lwp": "/x", "headers": {"mid": socket.names.mid()}}, 60))
            for _ in range(5)
        ]
        await site.until_got("/x")
        site.cut()
        async with asyncio.timeout(2):
            ends = await asyncio.gather(*asked, return_exceptions=True)
        assert [type(end) for end in ends] == [SocketClosed] * 5
        assert not socket.is_open
        with pytest.raises(SocketClosed):
            await socket.heartbeat()
        with pytest.raises(SocketClosed):
            await say(socket, "hi")


async def test_leaving_ends_those_who_wait(site: Site) -> None:
    async with site.open() as socket:
        asked = asyncio.create_task(socket.request({"lwp": "/x", "headers": {"mid": "1 0"}}, 60))
        await site.until_got("/x")
    with pytest.raises(SocketClosed) as closed:
        await asked
    assert closed.value.clean


async def test_a_cancelled_request_leaves_nothing_behind(site: Site) -> None:
    async with site.open() as socket:
        asked = asyncio.create_task(socket.request({"lwp": "/x", "headers": {"mid": "1 0"}}, 60))
        await site.until_got("/x")
        asked.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asked
        assert socket._waiting == {}


# ── sending ──


async def test_a_message_counts_as_sent_when_the_site_took_it(site: Site) -> None:
    site.bodies["/r/MessageSend/sendByReceiverScope"] = {"messageId": "3500000000002.PNM", "createAt": 1}
    async with site.open() as socket:
        receipt = await say(socket, "您好", uuid="-17500000021231")
        assert receipt == live_socket.SendReceipt("3500000000002.PNM", "-17500000021231")
        picture = frames.send_image(
            socket.names.mid(), "-2", CHAT, BUYER, ME, url="https://img.example/x.jpg", width=8, height=6
        )
        await socket.send(picture, "-2")
    body = cast("list[dict[str, object]]", site.got[0]["body"])
    assert body[0]["uuid"] == "-17500000021231"
    assert body[1] == {"actualReceivers": [f"{BUYER}@goofish", f"{ME}@goofish"]}


@pytest.mark.parametrize(
    ("code", "body", "reason", "site_code", "message"),
    [
        (
            200,
            {"reason": "FORBID", "code": 403, "moreInfo": "CSI_FORBID||安全拦截"},
            "FORBID",
            "403",
            "CSI_FORBID||安全拦截",
        ),
        (400, {"developerMessage": "bad"}, "code 400", "400", "bad"),
        (500, None, "code 500", "500", ""),
    ],
)
async def test_a_refused_message_says_why_even_with_code_200(
    site: Site, code: int, body: object, reason: str, site_code: str, message: str
) -> None:
    site.codes["/r/MessageSend/sendByReceiverScope"] = code
    site.bodies["/r/MessageSend/sendByReceiverScope"] = body
    async with site.open() as socket:
        with pytest.raises(SendRefused) as refused:
            await say(socket, "hi")
    assert (refused.value.reason, refused.value.site_code, refused.value.message) == (reason, site_code, message)


async def test_no_reply_to_a_message_is_uncertain_and_names_the_uuid(site: Site) -> None:
    async with site.open() as socket:
        with pytest.raises(SendUnknown) as uncertain:
            await say(socket, "hi", timeout_seconds=0.05)
        sent = cast("list[dict[str, object]]", site.got[0]["body"])
        assert uncertain.value.uuid == sent[0]["uuid"]


async def test_a_link_that_breaks_under_a_message_leaves_it_uncertain(site: Site) -> None:
    async with site.open() as socket:
        sending = asyncio.create_task(say(socket, "hi", timeout_seconds=60))
        await site.until_got("/r/MessageSend/sendByReceiverScope")
        site.cut()
        with pytest.raises(SendUnknown):
            await asyncio.wait_for(sending, 2)


# ── the gate ──


async def test_a_closed_gate_keeps_every_frame_back(site: Site) -> None:
    is_open = True
    async with site.open(gate=lambda: is_open) as socket:
        await socket.register("token", "D-1")
        await site.push(push_frame(1))
        push = await next_push(socket)
        is_open = False
        for sending in (
            socket.heartbeat(),
            socket.ack(push),
            say(socket, "hi"),
            socket.request({"lwp": "/x", "headers": {"mid": "1 0"}}),
            socket.register("token", "D-1"),
        ):
            with pytest.raises(GateClosed):
                await sending
        is_open = True
        await socket.heartbeat()
    assert [frame.get("lwp") for frame in site.got] == ["/reg", "/!"]


async def test_nothing_runs_between_the_gates_answer_and_the_write(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    steps: list[str] = []

    def gate() -> bool:
        asyncio.get_running_loop().call_soon(steps.append, "another step")
        steps.append("gate")
        return True

    async with site.open(gate=gate) as socket:
        transport = socket._link._writer.transport
        write = transport.write

        class Watched:
            def __getattr__(self, name: str) -> object:
                return getattr(transport, name)

            def write(self, data: bytes) -> None:
                steps.append("write")
                write(data)

        monkeypatch.setattr(socket._link._writer, "transport", Watched())
        await socket.heartbeat()
    assert steps[:3] == ["gate", "write", "another step"]


# ── pushes ──


async def test_pushes_come_in_order_and_are_acknowledged_only_by_us(site: Site) -> None:
    async with site.open() as socket:
        await socket.heartbeat()
        for number in range(3):
            await site.push(push_frame(number))
        pushes = socket.pushes()
        taken = [await anext(pushes) for _ in range(3)]
        assert [frames.mid_of(push) for push in taken] == ["p0 0", "p1 0", "p2 0"]
        assert len(site.got) == 1
        await socket.ack(taken[0])
        await socket.heartbeat()
    assert site.got[1] == {"code": 200, "headers": {"mid": "p0 0", "sid": "s1"}}


async def test_frames_of_no_kind_are_dropped_and_never_answered(site: Site) -> None:
    async with site.open() as socket:
        await socket.heartbeat()
        for odd in ("{", "[]", "[" * 50_000, '{"a":1}', '{"lwp":"/s/sync","code":200}', '{"code":200,"headers":5}'):
            await site.push(odd)
        await socket.heartbeat()
        assert not socket.has_untaken
    assert [frame["lwp"] for frame in site.got] == ["/!", "/!"]


@pytest.mark.parametrize(("code", "clean"), [(1000, True), (1001, True), (1011, False), (4001, False)])
async def test_a_closed_socket_gives_what_came_and_then_its_reason(site: Site, code: int, clean: bool) -> None:
    async with site.open() as socket:
        await socket.heartbeat()
        await site.push(push_frame(1))
        assert site.link is not None
        await site.link.close(code=code)
        assert frames.mid_of(await next_push(socket)) == "p1 0"
        with pytest.raises(SocketClosed) as closed:
            await asyncio.wait_for(drain(socket), 20)
    assert (closed.value.close_code, closed.value.clean) == (code, clean)


async def test_a_broken_link_is_not_clean(site: Site) -> None:
    async with site.open() as socket:
        await socket.heartbeat()
        site.cut()
        with pytest.raises(SocketClosed) as closed:
            await asyncio.wait_for(drain(socket), 20)
    assert not closed.value.clean


async def test_being_kicked_out_needs_the_owner(site: Site) -> None:
    async with site.open() as socket:
        await socket.heartbeat()
        await site.push({"lwp": "/push/kickout", "headers": {"mid": "k 0"}, "body": {}})
        with pytest.raises(ActionRequired) as kicked:
            await asyncio.wait_for(drain(socket), 20)
    assert kicked.value.reason == "kicked_out"


async def test_a_removed_session_is_temporary(site: Site) -> None:
    async with site.open() as socket:
        await socket.heartbeat()
        await site.push({"lwp": "/s/session/remove", "headers": {"mid": "k 0"}, "body": {}})
        with pytest.raises(TemporaryFailure) as removed:
            await asyncio.wait_for(drain(socket), 20)
    assert removed.value.code == "session_removed"


async def test_pushes_that_nobody_takes_end_the_socket_instead_of_filling_the_memory(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live_socket, "MAX_WAITING_PUSHES", 3)
    async with site.open() as socket:
        await socket.heartbeat()
        for number in range(5):
            await site.push(push_frame(number))
        with pytest.raises(TemporaryFailure):
            await socket.request({"lwp": "/x", "headers": {"mid": socket.names.mid()}}, 60)
        pushes = socket.pushes()
        assert [frames.mid_of(await anext(pushes)) for _ in range(3)] == ["p0 0", "p1 0", "p2 0"]
        with pytest.raises(TemporaryFailure) as overflow:
            await anext(pushes)
    assert overflow.value.code == "push_overflow"


async def test_a_frame_over_the_limit_ends_the_socket(site: Site) -> None:
    async with site.open(max_frame_bytes=2000) as socket:
        await socket.heartbeat()
        await site.push({**push_frame(1), "body": "x" * 5000})
        with pytest.raises(SocketClosed) as closed:
            await asyncio.wait_for(drain(socket), 20)
    assert not closed.value.clean


async def test_leaving_takes_no_longer_than_the_farewell_may(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handshake, "CLOSE_LIMIT_SECONDS", 0.1)
    hold = asyncio.Event()

    async def mute(frame: Frame) -> None:
        await hold.wait()

    monkeypatch.setattr(site, "answer", mute)
    async with asyncio.timeout(2):
        async with site.open() as socket:
            with pytest.raises(ReplyTimeout):
                await socket.heartbeat(0.05)
    hold.set()


async def test_an_error_inside_passes_through_and_the_reader_is_gone(site: Site) -> None:
    before = asyncio.all_tasks()
    with pytest.raises(RuntimeError, match="mine"):
        async with site.open():
            raise RuntimeError("mine")
    await asyncio.sleep(0.05)
    assert not [task for task in asyncio.all_tasks() - before if task.get_name() == "live socket reader"]
