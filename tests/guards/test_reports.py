"""A failing test is reported, whatever finalizers do: no failure ends the run."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

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
    plugins = ("-p", "no:cacheprovider", "-p", "garbage_free_reports")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", *plugins, "-c", "/dev/null", "--rootdir", tmp_path, file],
        env={"PYTHONPATH": str(Path(__file__).parents[1])}, capture_output=True, text=True, timeout=100, check=False,
    )  # fmt: skip
    assert "1 failed, 1 passed" in done.stdout, done.stdout + done.stderr
