"""The server process is killed at each step of an answer: no message is lost, and none is answered twice."""

from __future__ import annotations

import asyncio
from pathlib import Path
from signal import SIGKILL
from typing import Any

import pytest

from benchmarks.processes import START_SECONDS, SandboxProcess, ServerProcess, soon

pytestmark = pytest.mark.outside

DIES = Path(__file__).with_name("dying_server.py")


class Shop:
    """One shop that answers 在吗 in two messages, on a server that may be killed."""

    def __init__(self, server: ServerProcess, sandbox: SandboxProcess, unb: str) -> None:
        self.server, self.sandbox, self.unb = server, sandbox, unb

    @classmethod
    async def open(cls, server: ServerProcess, sandbox: SandboxProcess, *parts: str) -> Shop:
        seller = (await sandbox.get("sellers"))["items"][0]
        await server.add("shop", seller["cookie"])
        rule = {"words": ["在吗"], "parts": [{"text": part} for part in parts]}
        await server.ok("POST", "/cookies/shop/rules", rule)
        return cls(server, sandbox, str(seller["unb"]))

    async def say(self) -> str:
        said = await self.sandbox.do("say", account=self.unb, buyer="小鱼", text="在吗")
        return str(said["message_id"])

    async def seen(self) -> list[str]:
        return await self.sandbox.seen(self.unb, "小鱼")

    async def message(self, message_id: str) -> dict[str, Any]:
        rows = (await self.server.ok("GET", "/messages"))["items"]
        return next((row for row in rows if row["message_id"] == message_id), {})

    async def ends(self, message_id: str, *outcomes: str) -> dict[str, Any]:
        """The message once it is answered and its answers have come to these outcomes."""

        async def is_so() -> bool:
            row = await self.message(message_id)
            return row.get("decision") == "answered" and [one["outcome"] for one in row["answers"]] == list(outcomes)

        await soon(is_so, seconds=60)
        return await self.message(message_id)


async def test_c18_a_kill_just_after_the_acknowledgement_loses_no_message(
    server: ServerProcess, sandbox: SandboxProcess
) -> None:
    shop = await Shop.open(server, sandbox, "在的")
    await server.ok("PATCH", "/cookies/shop/settings", {"debounce_seconds": 30.0})
    asked = await shop.say()

    async def is_acknowledged() -> bool:
        return int((await sandbox.sockets(shop.unb))["unacked"]) == 0 and bool(await shop.message(asked))

    await soon(is_acknowledged)
    await server.end(SIGKILL)
    assert await shop.seen() == []
    await server.start()
    await server.ok("PATCH", "/cookies/shop/settings", {"debounce_seconds": 0.0})
    await shop.ends(asked, "sent")
    assert await shop.seen() == ["在的"]


async def test_c2_what_was_answered_before_a_kill_is_not_answered_again(
    server: ServerProcess, sandbox: SandboxProcess
) -> None:
    shop = await Shop.open(server, sandbox, "在的")
    asked = await shop.say()
    await shop.ends(asked, "sent")
    await server.end(SIGKILL)
    await server.start()
    await sandbox.do("say", account=shop.unb, buyer="小鱼", text="在吗", message_id=asked)

    async def is_repeated() -> bool:
        return (
            int((await shop.message(asked)).get("repeats", 0)) >= 1
        )  # the site may push what it did not know as taken, too

    await soon(is_repeated)
    again = await shop.say()
    await shop.ends(again, "sent")
    assert await shop.seen() == ["在的", "在的"]


async def test_a_kill_between_the_sending_and_its_receipt_ends_with_one_message(
    server: ServerProcess, sandbox: SandboxProcess
) -> None:
    shop = await Shop.open(server, sandbox, "一", "二")
    await sandbox.do("fault", account=shop.unb, kind="hold", which="send")
    asked = await shop.say()

    async def is_held() -> bool:
        return any(fault.get("held") for fault in (await sandbox.get("state"))["faults"])

    await soon(is_held)
    await server.end(SIGKILL)
    await sandbox.do("faults/clear")
    await server.start()
    row = await shop.ends(asked, "sent", "sent")
    assert await shop.seen() == ["一", "二"]
    assert row["answers"][0]["reason"] in {"echo", "sent_again"}


async def test_a_kill_between_the_sending_and_its_way_to_the_site_ends_with_one_message(
    server: ServerProcess, sandbox: SandboxProcess
) -> None:
    shop = await Shop.open(server, sandbox, "一", "二")
    await sandbox.do("fault", account=shop.unb, kind="send_timeout", delivered=False, times=1)
    asked = await shop.say()

    async def has_left() -> bool:
        frames = (await sandbox.get("frames", account=shop.unb))["items"]
        return any("sendByReceiverScope" in str(line["frame"].get("lwp")) for line in frames)

    await soon(has_left)
    await server.end(SIGKILL)
    assert await shop.seen() == []
    await server.start()
    row = await shop.ends(asked, "sent", "sent")
    assert (row["answers"][0]["reason"], row["answers"][0]["resends"]) == ("sent_again", 1)
    assert await shop.seen() == ["一", "二"]


@pytest.mark.parametrize("point", ["before_intent", "after_intent", "after_receipt", "between_parts"])
async def test_it_dies_at_a_step_that_nobody_outside_can_hold(
    sandbox: SandboxProcess, tmp_path: Path, point: str
) -> None:
    server = ServerProcess(tmp_path / "data", sandbox.url)
    server.command = (str(DIES), point)
    try:
        await server.start()
        shop = await Shop.open(server, sandbox, "一", "二")
        asked = await shop.say()
        async with asyncio.timeout(START_SECONDS):
            assert await server.child.wait() == -SIGKILL
        await server.end()
        server.command = ServerProcess.command
        await server.start()
        await shop.ends(asked, "sent", "sent")
        assert await shop.seen() == ["一", "二"]
    finally:
        await server.close()
