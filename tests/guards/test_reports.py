"""A failing test is reported, whatever finalizers do: no failure ends the run."""

from __future__ import annotations

import gc
import socket
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

from support.runs.socket_makers import makers_of

FAILING = """
import ast, gc

class Dying:
    '''Each collection ends one, which parses a text and leaves another behind.'''

    def __init__(self):
        self.me = self

    def __del__(self):
        if not over:
            ast.parse("a + b")
            Dying()

over = []

def test_that_fails():
    gc.set_threshold(1)
    Dying()
    values = [[number] for number in range(100)]
    assert values == over

def test_that_passes():
    gc.set_threshold(700)
    over.append(True)
"""


def test_a_finalizer_that_parses_during_a_report_does_not_end_the_run(tmp_path: Path) -> None:
    file = tmp_path / "test_failing.py"
    file.write_text(FAILING)
    plugins = ("-p", "no:cacheprovider", "-p", "support.runs.garbage_free_reports")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", *plugins, "-c", "/dev/null", "--rootdir", tmp_path, file],
        env={"PYTHONPATH": str(Path(__file__).parents[1])}, capture_output=True, text=True, timeout=100, check=False,
    )  # fmt: skip
    assert "1 failed, 1 passed" in done.stdout, done.stdout + done.stderr


def test_who_leaves_a_socket_open_is_named(request: pytest.FixtureRequest) -> None:
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        left = socket.create_server(("127.0.0.1", 0))
        number = left.fileno()
        del left
        gc.collect(0)
    (maker,) = makers_of("\n".join(str(warning.message) for warning in told))
    assert maker == f"the socket with fd={number} was made in {request.node.nodeid} (call)"
