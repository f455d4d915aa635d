"""None"""

import asyncio
import gc
import traceback

import aiohttp
import pytest

from shoal.errors import ActionRequired, ComeBackLater, SendUnknown, ShoalError, TemporaryFailure
from shoal.xianyu import frames, live_socket
from shoal.xianyu.browser import Browser
from shoal.xianyu.live_socket import connect
from shoal.xianyu.socket_errors import ReplyTimeout, SocketClosed, TokenRefused
from support.site.small_live_site import COOKIE, ME, Site, say


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


async def test_what_was_connected_is_freed_without_the_collector(site: Site) -> None:
    gc.disable()
    try:
        async with site.open() as socket:
            socket.hear(lambda push: socket.hear(print))
            assert _connections() == 1
        assert not socket.is_open
        assert _connections() == 0
    finally:
        gc.enable()


def _connections() -> int:
    return sum(type(one) is aiohttp.ClientWebSocketResponse for one in gc.get_objects())


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
        await asyncio.wait_for(gone.wait(), 60)


async def test_a_session_with_a_jar_of_its_own_is_refused(site: Site) -> None:
    async with aiohttp.ClientSession() as session:
        with pytest.raises(TypeError):
            async with connect(session, site.url, COOKIE, Browser("x")):
                pass


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
        async with asyncio.timeout(60):
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


async def test_a_cut_closes_at_once_beside_work_that_has_not_ended_and_nothing_leaves_after_it(site: Site) -> None:
    async with site.open() as socket:
        await socket.register("token", "device")
        site.silent.add("/r/MessageSend/sendByReceiverScope")
        site.bodies["/r/MessageSend/sendByReceiverScope"] = {}
        sending = asyncio.create_task(say(socket, "在的"))
        await site.until_got("/r/MessageSend/sendByReceiverScope")
        socket.cut()
        socket.cut()
        with pytest.raises(SendUnknown):
            await sending
        async with asyncio.timeout(60):
            while site.link is None or not site.link.closed:
                await asyncio.sleep(0.01)
        assert not socket.is_open
        with pytest.raises(SocketClosed):
            await say(socket, "还在", uuid="-17500000021231")
