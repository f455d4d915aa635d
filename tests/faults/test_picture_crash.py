"""The server dies while a picture is under way to the site: the buyer gets it once, from the next start."""

from __future__ import annotations

import os
import signal

import pytest

from benchmarks.processes import SandboxProcess, ServerProcess, soon
from support.files.picture_files import a_png

pytestmark = [pytest.mark.outside, pytest.mark.timeout(600)]


async def test_a_crash_during_an_upload_costs_no_picture_and_doubles_none(
    sandbox: SandboxProcess, server: ServerProcess
) -> None:
    seller = (await sandbox.get("sellers"))["items"][0]
    unb = seller["unb"]
    await server.add("shop", seller["cookie"])
    files = {"image": ("x.png", a_png(30, 20), "image/png")}
    added = await server.http.post("/keywords/shop/image", data={"keyword": "图"}, files=files)
    assert added.status_code == 200, added.text
    await sandbox.do("fault", account=unb, kind="hold", which="upload")
    await sandbox.do("say", account=unb, buyer="小鱼", text="有图吗")

    async def held() -> bool:
        return any(fault.get("held") for fault in (await sandbox.get("state"))["faults"])

    await soon(held)
    os.kill(server.child.pid, signal.SIGKILL)
    await server.end()
    await sandbox.do("faults/clear")
    assert await sandbox.seen(unb, "小鱼") == []
    await server.start()

    async def shown() -> bool:
        return len(await sandbox.seen(unb, "小鱼")) == 1

    await soon(shown)

    async def settled() -> bool:
        messages = (await server.ok("GET", "/messages"))["items"]
        outcomes = [[answer["outcome"] for answer in message.get("answers") or []] for message in messages]
        return ["sent"] in outcomes

    await soon(settled)
    (line,) = await sandbox.seen(unb, "小鱼")
    assert line.startswith("[图片]")
