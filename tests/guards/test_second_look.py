"""Tests that failed in the whole run: few are run once more, and those that pass then are named."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

SECOND_LOOK = Path(__file__).parents[2] / "scripts" / "second_look.py"
UNSTEADY = """
from pathlib import Path

def test_right_the_second_time():
    been = Path(__file__).with_name("been")
    there = been.exists()
    been.touch()
    assert there
"""


def _run(arguments: list[str], directory: Path) -> tuple[int, str]:
    environment = os.environ | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    ended = subprocess.run(
        [sys.executable, *arguments], cwd=directory, env=environment, capture_output=True, text=True, check=False
    )
    return ended.returncode, ended.stdout


def _looked_twice(directory: Path, test: str) -> tuple[int, str]:
    """Run a file of tests as the Makefile does; give the exit status of the whole and what the second look says."""
    (directory / "test_file.py").write_text(test, encoding="utf-8")
    (directory / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
    status, _ = _run(["-m", "pytest", "-o", "cache_dir=cache"], directory)
    return _run([str(SECOND_LOOK), str(status), "cache"], directory)


@pytest.mark.slow
def test_a_test_that_passes_alone_is_named_and_fails_no_run(tmp_path: Path) -> None:
    status, said = _looked_twice(tmp_path, UNSTEADY)
    assert status == 0
    assert "UNSTEADY" in said
    assert said.rstrip().endswith("test_file.py::test_right_the_second_time")


@pytest.mark.slow
def test_a_test_that_fails_again_fails_the_run(tmp_path: Path) -> None:
    status, said = _looked_twice(tmp_path, UNSTEADY + "\n\ndef test_wrong():\n    assert False\n")
    assert status == 1
    assert "UNSTEADY" not in said


@pytest.mark.parametrize(("status", "failed"), [(1, 3), (2, 1), (1, 0)], ids=["many", "interrupted", "none known"])
def test_what_is_many_or_is_no_failed_test_fails_the_run_at_once(tmp_path: Path, status: int, failed: int) -> None:
    known = tmp_path / "cache" / "v" / "cache" / "lastfailed"
    known.parent.mkdir(parents=True)
    known.write_text(json.dumps({f"test_file.py::test_{number}": True for number in range(failed)}), encoding="utf-8")
    assert _run([str(SECOND_LOOK), str(status), "cache"], tmp_path) == (status, "")
