"""Pushes, and how a socket ends."""

import asyncio
from collections.abc import Callable

import pytest
import uvloop

from shoal.errors import ActionRequired, TemporaryFailure
from shoal.xianyu import frames, handshake, live_socket
from shoal.xianyu.socket_errors import ReplyTimeout, SocketClosed
from support.site.small_live_site import Frame, Site, drain, next_push, push_frame, standing_site


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


@pytest.mark.parametrize("loop", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def test_g4_what_the_machine_has_received_is_heard_before_anything_else_leaves(
    loop: Callable[[], asyncio.AbstractEventLoop],
) -> None:
    async def run() -> None:
        async with standing_site() as site, site.open() as socket:
            await socket.heartbeat()
            await site.push(push_frame(0))
            await socket.caught_up()
            heard: list[str] = []
            socket.hear(lambda push: heard.append(frames.mid_of(push)))
            assert heard == ["p0 0"], "one that waits to be taken is heard too"
            for number in range(1, 50):
                await site.push(push_frame(number))
                await socket.caught_up()
                assert heard[-1] == f"p{number} 0"
            taken = [frames.mid_of(await next_push(socket)) for _ in range(50)]
            assert taken == heard

    with asyncio.Runner(loop_factory=loop) as runner:
        runner.run(run())


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
            await asyncio.wait_for(drain(socket), 60)
    assert (closed.value.close_code, closed.value.clean) == (code, clean)


async def test_a_broken_link_is_not_clean(site: Site) -> None:
    async with site.open() as socket:
        await socket.heartbeat()
        site.cut()
        with pytest.raises(SocketClosed) as closed:
            await asyncio.wait_for(drain(socket), 60)
    assert not closed.value.clean


async def test_being_kicked_out_needs_the_owner(site: Site) -> None:
    async with site.open() as socket:
        await socket.heartbeat()
        await site.push({"lwp": "/push/kickout", "headers": {"mid": "k 0"}, "body": {}})
        with pytest.raises(ActionRequired) as kicked:
            await asyncio.wait_for(drain(socket), 60)
    assert kicked.value.reason == "kicked_out"


async def test_a_removed_session_is_temporary(site: Site) -> None:
    async with site.open() as socket:
        await socket.heartbeat()
        await site.push({"lwp": "/s/session/remove", "headers": {"mid": "k 0"}, "body": {}})
        with pytest.raises(TemporaryFailure) as removed:
            await asyncio.wait_for(drain(socket), 60)
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
            await asyncio.wait_for(drain(socket), 60)
    assert not closed.value.clean


async def test_leaving_takes_no_longer_than_the_farewell_may(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handshake, "CLOSE_LIMIT_SECONDS", 0.1)
    hold = asyncio.Event()

    async def mute(frame: Frame) -> None:
        await hold.wait()

    monkeypatch.setattr(site, "answer", mute)
    async with asyncio.timeout(60):
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
