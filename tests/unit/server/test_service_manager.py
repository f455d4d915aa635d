"""The service manager hears over a real socket when the server is ready, lives and ends, and never holds it up."""

from __future__ import annotations

import asyncio
import os
import socket
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import structlog

from shoal.server.service_manager import ParentNotices, ServiceManager


@pytest.fixture
def place() -> Iterator[Path]:
    """A short path: that of a socket has at most 107 characters."""
    with tempfile.TemporaryDirectory() as directory:
        yield Path(directory) / "notify"


@pytest.fixture
def ear(place: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as opened:
        opened.bind(str(place))
        opened.setblocking(False)
        yield opened


@asynccontextmanager
async def telling(address: str, **options: float) -> AsyncIterator[ServiceManager]:
    manager = ServiceManager(address, **options)
    try:
        yield manager
    finally:
        await manager.close()


async def heard(ear: socket.socket) -> str:
    return (await asyncio.wait_for(asyncio.get_running_loop().sock_recv(ear, 4096), 60)).decode()


def waiting(ear: socket.socket) -> list[str]:
    """What lies in the socket's queue now."""
    found = []
    while True:
        try:
            found.append(ear.recv(4096).decode())
        except BlockingIOError:
            return found


async def test_it_hears_ready_then_again_and_again_alive_and_at_last_stopping(ear: socket.socket, place: Path) -> None:
    async with telling(str(place), watchdog_seconds=0.03) as manager:
        manager.ready()
        assert [await heard(ear) for _ in range(4)] == ["READY=1", "WATCHDOG=1", "WATCHDOG=1", "WATCHDOG=1"]
        manager.stopping()
        said = ""
        while said != "STOPPING=1":
            said = await heard(ear)
            assert said in {"WATCHDOG=1", "STOPPING=1"}
        assert await heard(ear) == "WATCHDOG=1"


async def test_a_loop_that_stands_still_sends_no_sign_of_life(ear: socket.socket, place: Path) -> None:
    async with telling(str(place), watchdog_seconds=0.03) as manager:
        manager.ready()
        assert await heard(ear) == "READY=1"
        assert await heard(ear) == "WATCHDOG=1"
        waiting(ear)
        time.sleep(0.2)  # noqa: ASYNC251  it is what must be noticed
        assert waiting(ear) == []
        assert await heard(ear) == "WATCHDOG=1"


async def test_without_a_watchdog_there_are_no_signs_of_life(ear: socket.socket, place: Path) -> None:
    async with telling(str(place)) as manager:
        manager.ready()
        assert await heard(ear) == "READY=1"
        assert manager._task is not None
        await asyncio.wait_for(manager._task, 60)
        assert waiting(ear) == []


async def test_a_socket_of_a_name_without_a_file_is_reached() -> None:
    name = f"shoal-{os.getpid()}-{time.monotonic_ns()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ear:
        ear.bind(f"\0{name}")
        ear.setblocking(False)
        async with telling(f"@{name}") as manager:
            manager.ready()
            assert await heard(ear) == "READY=1"


async def test_a_manager_that_comes_later_or_anew_is_told_and_one_line_is_logged(place: Path) -> None:
    with structlog.testing.capture_logs() as lines:
        async with telling(str(place), watchdog_seconds=0.03) as manager:
            manager.stopping()
            manager.stopping()
            assert [line["event"] for line in lines] == ["the service manager does not hear"]
            for _ in range(2):
                with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ear:
                    ear.bind(str(place))
                    ear.setblocking(False)
                    manager.ready()
                    assert await heard(ear) in {"READY=1", "WATCHDOG=1"}
                place.unlink()  # noqa: ASYNC240  a file of this test
    assert {line["event"] for line in lines} == {"the service manager does not hear"}


@pytest.mark.slow
async def test_a_manager_that_does_not_read_holds_nothing_up_and_hears_later(ear: socket.socket, place: Path) -> None:
    async with telling(str(place)) as manager:
        sent = 0
        while manager._send(b"X=1"):
            sent += 1
        manager.ready()
        await asyncio.sleep(0)
        assert len(waiting(ear)) == sent
        assert await heard(ear) == "READY=1"


@pytest.mark.parametrize(
    ("environment", "seconds"),
    [
        ({}, None),
        ({"WATCHDOG_USEC": "120000000"}, 40.0),
        ({"WATCHDOG_USEC": "120000000", "WATCHDOG_PID": "7"}, 40.0),
        ({"WATCHDOG_USEC": "120000000", "WATCHDOG_PID": "8"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "often"}, None),
    ],
)
def test_the_watchdog_is_what_the_environment_says_of_this_process(
    environment: dict[str, str], seconds: float | None
) -> None:
    assert ServiceManager.named_in(environment, 7).every_seconds == seconds


async def test_without_a_manager_nothing_is_opened() -> None:
    async with telling("") as manager:
        manager.ready()
        manager.stopping()
        assert (manager._task, manager._socket) == (None, None)


def test_a_parent_without_a_loop_tells_once_that_it_is_ready_then_as_often_as_it_is_asked_for(
    place: Path, ear: socket.socket
) -> None:
    environment = {"NOTIFY_SOCKET": str(place), "WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "7"}
    notices = ParentNotices.named_in(environment, 7)
    assert 0 < notices.alive_in() <= 10
    assert waiting(ear) == [], "it is not ready"
    notices.ready()
    notices.ready()
    assert 0 < notices.alive_in() <= 10
    notices.alive_in()
    notices.stopping()
    notices.close()
    assert waiting(ear) == ["READY=1", "WATCHDOG=1", "STOPPING=1"]


def test_a_parent_without_a_manager_tells_nobody() -> None:
    notices = ParentNotices.named_in({}, 7)
    notices.ready()
    notices.stopping()
    assert notices.alive_in() > 60
