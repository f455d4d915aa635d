"""What every test may use: an event loop like the server's, and no environment of the person who runs it."""

from __future__ import annotations

import fcntl
import gc
import os
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import structlog
from hypothesis import settings
from hypothesis.internal.conjecture import providers

from shoal.clock import MACHINE
from support.runs import socket_makers
from support.runs.compiled_statements import share_compiled_statements
from support.runs.even_shares import shared_out
from support.runs.garbage_free_reports import pytest_runtest_makereport  # noqa: F401  (a hook)
from support.runs.memory_directory import memory_directory

gc.disable()
"""Until the tests are collected: the conftest of a directory imports most of Shoal before that."""

settings.register_profile("any machine", deadline=None)
"""However slow the machine is: a timing fails no test."""
settings.register_profile("quick", deadline=None, max_examples=20)
"""For ``make quick``."""
settings.load_profile("any machine")

if not os.environ.get("SHOAL_PROVE"):
    providers._get_local_constants = lambda: providers._local_constants
    """Hypothesis seeks numbers and texts to try in all loaded sources: 2.7 s of each process, 1 where it has kept them.
    With them, what a test tries depended on what else was loaded."""

share_compiled_statements()
socket_makers.note_makers()

_SELDOM = (10_000, 20, 50)
"""Of so many new objects garbage is looked for. With the usual 700 that took a tenth of the time of the tests."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add what a run may ask for."""
    parser.addoption("--two-servers", metavar="SEED", help="open each door before two servers (two_servers.py)")


def pytest_configure(config: pytest.Config) -> None:
    """Lay the tests' directories into memory where there is room, unless the caller names a place.

    What a killed process has written is still there, as on a disk; that it survives a power failure no test can show.
    On a disk that others use, each commit waits 6 ms.
    """
    config.pluginmanager.register(socket_makers)
    if memory := memory_directory():
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(memory))
    if seed := config.getoption("two_servers"):
        from support.databases import postgres_fixture  # noqa: PLC0415  it imports SQLAlchemy
        from support.servers.two_servers import TwoServers  # noqa: PLC0415  it imports the whole server

        config.pluginmanager.register(postgres_fixture)
        config.pluginmanager.register(TwoServers(seed))


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Give each worker its share of the long tests; a run without workers keeps their order."""
    workers = getattr(config, "workerinput", {}).get("workercount", 1)
    if workers > 1:
        items[:] = shared_out(items, workers)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Collect no garbage while the tests are collected, and never look through what was made there again.

    Modules and the list of tests stay until the end. To look through them takes 1.2 s of a worker's start, and half a
    second each time later.
    """
    gc.disable()
    try:
        with _after_the_first():
            return (yield)
    finally:
        gc.freeze()
        gc.set_threshold(*_SELDOM)
        gc.enable()


@contextmanager
def _after_the_first() -> Iterator[None]:
    """Let one worker collect before all others: it compiles what the others then read.

    In a fresh clone that is half of the time: six seconds of a processor for each worker.
    """
    with Path(__file__).open() as turn:
        try:
            fcntl.flock(turn, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            fcntl.flock(turn, fcntl.LOCK_SH)
        yield


_PLAIN = structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
"""By default structlog draws a traceback with the variables of each frame, which takes half a second of a processor."""
structlog.configure(processors=[*structlog.get_config()["processors"][:-1], _PLAIN])


@pytest.fixture(autouse=True)
def _knows_the_machines_clock_only() -> None:
    """What a server of an earlier test knew of the time is forgotten."""
    MACHINE.forget()


@pytest.fixture(autouse=True)
def _no_environment_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("SHOAL_")]:
        monkeypatch.delenv(name)
