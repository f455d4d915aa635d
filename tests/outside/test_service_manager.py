"""The real server tells a service manager, over a socket like that of systemd, when it listens, lives and ends."""

from __future__ import annotations

import asyncio
import signal
import socket
import tempfile
from pathlib import Path

import httpx
import pytest

from benchmarks.processes import START_SECONDS, ServerProcess

pytestmark = pytest.mark.outside


async def test_a_server_is_ready_when_it_answers_lives_while_it_works_and_says_that_it_ends(tmp_path: Path) -> None:
    with (
        tempfile.TemporaryDirectory() as short,
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ear,
    ):
        ear.bind(f"{short}/notify")
        ear.setblocking(False)

        async def heard() -> str:
            said = await asyncio.wait_for(asyncio.get_running_loop().sock_recv(ear, 4096), START_SECONDS)
            return said.decode()

        server = ServerProcess(
            tmp_path / "data", "http://127.0.0.1:9", NOTIFY_SOCKET=f"{short}/notify", WATCHDOG_USEC="300000"
        )
        await server.spawn(*server.command, "serve", environment=server.environment)
        try:
            assert await heard() == "READY=1"
            async with httpx.AsyncClient(timeout=60) as client:  # the very first question is answered
                assert (await client.get(f"{server.url}/health/live")).status_code == 200
            assert [await heard() for _ in range(2)] == ["WATCHDOG=1"] * 2
            server.child.send_signal(signal.SIGTERM)
            while (said := await heard()) != "STOPPING=1":
                assert said == "WATCHDOG=1"
        finally:
            await server.http.aclose()
            ended = await server.end()
    assert ended == 0
