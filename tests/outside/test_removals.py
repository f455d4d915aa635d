"""Shops that are removed and added again at once, through the real process."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from benchmarks.processes import SandboxProcess, ServerProcess

pytestmark = pytest.mark.outside

PAIRS = 40


async def test_f5_forty_removals_are_each_followed_at_once_by_an_addition_of_the_same_id(
    server: ServerProcess, sandbox: SandboxProcess
) -> None:
    sellers = (await sandbox.get("sellers"))["items"]
    heard: list[tuple[int, str]] = []

    async def remove_and_add(number: int, seller: dict[str, Any]) -> None:
        name = f"shop{number}"
        for _ in range(PAIRS // len(sellers) + 1):
            gone = await server.ok("DELETE", f"/cookies/{name}?wait=60")
            assert (gone["msg"], gone["purged"], gone["state"]) == ("removed", True, "stopped")
            made = await server.http.post("/cookies?wait=0", json={"id": name, "value": seller["cookie"]})
            heard.append((made.status_code, made.json().get("code", "")))

    for number, seller in enumerate(sellers):
        await server.add(f"shop{number}", seller["cookie"])
    async with asyncio.timeout(400), asyncio.TaskGroup() as group:
        for number, seller in enumerate(sellers):
            group.create_task(remove_and_add(number, seller))
    assert len(heard) >= PAIRS
    assert set(heard) == {(200, "")}
