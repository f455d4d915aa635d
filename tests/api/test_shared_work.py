"""Work that one person causes, beside the others: costly files, and searches without end."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import httpx
import psutil

from support.files.table_files import a_bomb
from support.servers.doors import Door, another_person, served
from support.site.standins import until


def workers() -> int:
    found = 0
    for one in psutil.Process().children():
        with suppress(psutil.Error):
            found += "shoal.concurrency.bounded_worker" in one.cmdline()
    return found


async def test_f9_eight_uploads_of_bombs_keep_nobody_from_working_and_end_with_who_sent_them(door: Door) -> None:
    bomb = a_bomb(styles=8_000_000)
    async with (
        served(door) as url,
        another_person(door) as other,
        httpx.AsyncClient(base_url=url, timeout=60) as sender,
    ):
        sender.headers["Authorization"] = door.client.headers["Authorization"]
        file = {"file": ("rules.xlsx", bomb)}
        uploads = [asyncio.create_task(sender.post("/rules-file", files=file, timeout=60)) for _ in range(8)]
        await until(lambda: sum(upload.done() for upload in uploads) >= 3)
        refused = [upload.result() for upload in uploads if upload.done()]
        assert {(answer.status_code, answer.json()["code"]) for answer in refused} == {(429, "too_much_work")}
        assert all(int(answer.headers["retry-after"]) > 0 for answer in refused)
        async with asyncio.timeout(60):
            assert (await other.client.get("/console/")).status_code in {200, 503}
            signed_in = {"username": "bob", "password": "a password of theirs"}
            assert (await other.client.post("/login", json=signed_in)).json()["success"]
            await other.add("theirs", 2)
            rule = {"words": ["hello"], "parts": [{"text": "hi"}]}
            await other.call("POST", "/cookies/theirs/rules", json=rule)
            exported = await other.client.get("/cookies/theirs/rules-file?format=xlsx")
            assert exported.status_code == 200, exported.text
            read = await other.client.post("/rules-file", files={"file": ("rules.xlsx", exported.content)})
            assert [row["words"] for row in read.json()["rules"]] == [["hello"]]
        for upload in uploads:
            upload.cancel()
        await asyncio.wait(uploads)
    await until(lambda: workers() <= 1)  # that of the honest file
