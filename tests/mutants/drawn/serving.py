"""A process of pytest that has collected its tests and runs those that it is asked for, each time in a fork.

It is a fork of a process that has imported none of the sources, so that it imports those of the copy.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import selectors
import signal
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

import pytest

from mutants.drawn.swapping import differences, loaded_functions, swap

_QUIETLY = ("-W", "ignore::pytest.PytestAssertRewriteWarning", "-o", "timeout=0")
OPTIONS = ("-q", "-s", "-p", "no:cacheprovider", "--tb=no", *_QUIETLY)
SLOWEST_START_SECONDS = 1800.0
_LONGEST_END_SECONDS = 120.0
_TESTS_WAIT_SECONDS = 60.0
_WAIT_SECONDS = 10.0


class Hung(Exception):
    """The process says nothing any more."""


class _Serving:
    """The plugin: instead of running what was collected, it answers requests."""

    def __init__(self, requests: IO[str], replies: IO[str], meeting: Path, *, forks: bool) -> None:
        self._requests = requests
        self._replies = replies
        self._meeting = meeting
        self._forks = forks
        self._failed = False

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        items = {item.nodeid: item for item in session.items}
        _wait_less()
        with contextlib.ExitStack() as stack:
            if self._forks:
                asyncio.run(_make_ready(stack, self._meeting))
            self._answer(items)
        return True

    def _answer(self, items: dict[str, pytest.Item]) -> None:
        functions = loaded_functions() if self._forks else {}
        assert threading.active_count() == 1, threading.enumerate()  # a thread is not in a fork
        self._say({"ready": len(items)})
        for line in self._requests:
            asked = json.loads(line)
            child = os.fork() if self._forks else 0
            if child:
                self._say({"began": child})
                os.waitpid(child, 0)
                self._say({"ended": child})
                continue
            os.setsid()
            if asked["edit"]:
                edit = asked["edit"]
                old, new = (compile(edit[one], edit["path"], "exec", dont_inherit=True) for one in ("old", "new"))
                swap(functions, differences(old, new) or [])
            self._run([items[name] for name in asked["tests"] if name in items])
            self._say({"ended": 0})
            os._exit(0)

    def _run(self, items: list[pytest.Item]) -> None:
        for item, following in zip(items, [*items[1:], None], strict=True):
            self._say({"test": item.nodeid})
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
            if self._failed:
                self._say({"failed": item.nodeid})
                return

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self._failed = self._failed or report.failed

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self._say({"failed": report.nodeid})

    def _say(self, said: dict[str, Any]) -> None:
        self._replies.write(json.dumps(said) + "\n")
        self._replies.flush()


class Served:
    """Such a process, as the one that asks sees it. ``forks=False``: it answers one request, and ends."""

    def __init__(self, files: Sequence[str], directory: Path, *, forks: bool) -> None:
        requests, self._requests = os.pipe()
        self._replies, replies = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            os.close(self._requests)
            os.close(self._replies)
            _serve(files, directory, os.fdopen(requests), os.fdopen(replies, "w"), forks=forks)
        os.close(requests)
        os.close(replies)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._replies, selectors.EVENT_READ)
        self._rest = b""

    def wait_until_ready(self) -> str:
        """Return nothing, or the file that could not be collected."""
        failed = ""
        while "ready" not in (said := self._said(SLOWEST_START_SECONDS)):
            failed = failed or said.get("failed", "") or ("no start" if "gone" in said else "")
            if "gone" in said:
                break
        return failed

    def ask(self, names: list[str], edit: dict[str, str], seconds: dict[str, float]) -> tuple[str, bool, int]:
        """Run tests until one fails. Returns its name, whether it hung, and how many were begun."""
        os.write(self._requests, json.dumps({"tests": names, "edit": edit}).encode() + b"\n")
        test, tried, child, limit, failed = "", 0, self.pid, SLOWEST_START_SECONDS, ""
        longest = max(seconds.values())  # for a test whose name the defect changed
        try:
            while not {"ended", "gone"} & (said := self._said(limit)).keys():
                child = said.get("began", child)
                failed = said.get("failed", failed)
                if "test" in said:
                    test, tried, limit = said["test"], tried + 1, seconds.get(said["test"], longest)
            if said.get("ended") == 0 and child != self.pid:  # the fork is done; its parent says so next
                said = self._said(limit)
        except Hung:
            os.kill(child, signal.SIGKILL)
            if child != self.pid:
                self._said(SLOWEST_START_SECONDS)
            return test, True, tried
        return failed, False, tried

    def end(self) -> None:
        """Let it end by itself, or kill it."""
        os.close(self._requests)
        deadline = time.monotonic() + _LONGEST_END_SECONDS
        while not os.waitpid(self.pid, os.WNOHANG)[0]:
            if time.monotonic() > deadline:
                os.kill(self.pid, signal.SIGKILL)
            time.sleep(0.05)
        self._selector.close()
        os.close(self._replies)

    def _said(self, seconds: float) -> dict[str, Any]:
        deadline = time.monotonic() + seconds
        while b"\n" not in self._rest:
            if not self._selector.select(max(deadline - time.monotonic(), 0)):
                raise Hung
            more = os.read(self._replies, 1 << 16)
            if not more:
                return {"gone": self.pid}
            self._rest += more
        line, _, self._rest = self._rest.partition(b"\n")
        said: dict[str, Any] = json.loads(line)
        return said


def _wait_less() -> None:
    """Let tests give up sooner what they wait for, which a defect may keep from happening.

    A test for which this is too short fails without a defect too, and counts for nothing.
    """
    from support.site.standins import until, until_told  # only here: it imports the sources  # noqa: PLC0415

    for wait in (until, until_told):
        if wait.__kwdefaults__:
            wait.__kwdefaults__["seconds"] = _WAIT_SECONDS
    timeout = asyncio.timeout

    def shorter(delay: float | None) -> asyncio.Timeout:
        return timeout(_WAIT_SECONDS if delay == _TESTS_WAIT_SECONDS else delay)

    asyncio.timeout = shorter


async def _make_ready(stack: contextlib.ExitStack, meeting: Path) -> None:
    """Migrate a database and start a shop once, so that not each fork must, and a PostgreSQL for all."""
    from support.databases.postgres_server import INSTALLED, shared_server  # only here: it imports the sources  # noqa: PLC0415
    from support.site.without_sockets import one_shop  # noqa: PLC0415

    if INSTALLED:
        stack.enter_context(shared_server(meeting))
    with tempfile.TemporaryDirectory() as directory:
        async with one_shop(Path(directory)):
            pass


def _serve(files: Sequence[str], directory: Path, requests: IO[str], replies: IO[str], *, forks: bool) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    try:
        nowhere = os.open(os.devnull, os.O_RDWR)
        for stream in (0, 1, 2):
            os.dup2(nowhere, stream)
        plugin = _Serving(requests, replies, directory.parent, forks=forks)
        pytest.main([*OPTIONS, f"--basetemp={directory}", *files], plugins=[plugin])
    finally:
        os._exit(0)
