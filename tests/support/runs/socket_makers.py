"""A plugin of pytest: a socket that was left open is told with the test that opened it.

Its warning comes when it is collected, which is counted to the test that runs then.
"""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Generator
from typing import Any

import pytest

_UNCLOSED = re.compile(r"unclosed [^\n]*?\bfd=(\d+)")
_makers: dict[int, str] = {}
"""By number of the file: the last test during which a socket with that number was made."""


def note_makers() -> None:
    """Note of each socket from now on which test runs when it is made."""
    make = socket.socket.__init__

    def made(one: socket.socket, *arguments: Any, **named: Any) -> None:
        make(one, *arguments, **named)
        _makers[one.fileno()] = os.environ.get("PYTEST_CURRENT_TEST", "no test")

    socket.socket.__init__ = made  # type: ignore[assignment,method-assign]


def makers_of(warnings: str) -> list[str]:
    """Return who made the sockets that a text calls unclosed."""
    numbers = sorted({int(number) for number in _UNCLOSED.findall(warnings)})
    return [f"the socket with fd={number} was made in {_makers.get(number, 'no test')}" for number in numbers]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Add to a report of a failure who made the sockets that it calls unclosed."""
    report = yield
    if report.failed and (makers := makers_of(report.longreprtext)):
        report.sections.append(("Left open", "\n".join(makers)))
    return report
