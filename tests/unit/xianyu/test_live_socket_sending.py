"""Messages and the gate: sent when the site took them, uncertain without its reply, none through a closed gate."""

import asyncio
from typing import cast

import pytest

from shoal.errors import ActionRequired, SendUnknown
from shoal.xianyu import frames, live_socket
from shoal.xianyu.socket_errors import GateClosed, SendRefused
from support.site.small_live_site import BUYER, CHAT, ME, Site, next_push, push_frame, say


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


async def test_a_caller_who_leaves_while_a_frame_is_written_ends_no_connection(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.bodies["/r/MessageSend/sendByReceiverScope"] = {"messageId": "3500000000002.PNM"}
    writing = asyncio.Event()

    async def lasting(_: str) -> None:
        writing.set()
        await asyncio.Event().wait()

    async with site.open() as socket:
        with monkeypatch.context() as patch:
            patch.setattr(socket._link, "send_str", lasting)
            leaving = asyncio.create_task(say(socket, "hi"))
            await asyncio.wait_for(writing.wait(), 60)
            leaving.cancel()
            with pytest.raises(asyncio.CancelledError):
                await leaving
        assert (await say(socket, "again")).message_id == "3500000000002.PNM"


async def test_after_a_heartbeat_that_asks_for_the_owner_nothing_more_is_sent(site: Site) -> None:
    site.bodies["/r/MessageSend/sendByReceiverScope"] = {"messageId": "3500000000002.PNM"}
    async with site.open() as socket:
        site.codes["/!"], site.bodies["/!"] = 401, {"reason": "kickout by other"}
        with pytest.raises(ActionRequired):
            await socket.heartbeat(60)
        with pytest.raises(ActionRequired):
            await say(socket, "hi")
    assert [frame["lwp"] for frame in site.got] == ["/!"]


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
            await asyncio.wait_for(sending, 60)


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
        assert socket._link is not None
        transport = socket._link._writer.transport
        write = transport.write

        class Watched:
            def __getattr__(self, name: str) -> object:
                return getattr(transport, name)

            def write(self, data: bytes) -> None:
                steps.append("write")
                write(data)

        assert socket._link is not None
        monkeypatch.setattr(socket._link._writer, "transport", Watched())
        await socket.heartbeat()
    assert steps[:3] == ["gate", "write", "another step"]
