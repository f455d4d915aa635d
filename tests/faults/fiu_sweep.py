"""The n-th system call of the real writer fails, by libfiu; what it told is compared with what the file holds."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from faults.durable import Durable, durable_in
from faults.replay import STALE, changes_of, make_base
from shoal.errors import ShoalError

FIU_RUN = shutil.which("fiu-run")
MODES = ("once", "full", "dead", "kill")
"""What fails: one call, and the process ends as soon as it has told what became of it; one call for want of room, and
it goes on; every call from there on; and the process itself, at that call."""
TOGETHER = 200
"""So many copies of the database lie there at once."""
CHILD = Path(__file__).with_name("fiu_child.py")


@dataclass
class FiuFigures:
    """What a sweep did and found."""

    scenario: str
    calls: int = 0
    fault_points: int = 0
    told: dict[str, int] = field(default_factory=dict)
    violations: list[str] = field(default_factory=list)


async def fiu_sweep(
    directory: Path, scenario: str, *, step: int = 1, last: int = 0, modes: tuple[str, ...] = MODES, child: Path = CHILD
) -> FiuFigures:
    """Fail at every ``step``-th call in every mode; with ``last``, only at so many at the end."""
    base = directory / "base"
    await make_base(base)
    before = await durable_in(base, directory / "aside")
    ops = [change.op.op_id for change in changes_of(scenario, list(before.contents.accounts.values()))]
    figures = FiuFigures(scenario)
    (whole,) = await _children(child, directory, scenario, [("once", 0)])
    assert "told" in whole, f"without any fault: {whole}"
    assert set(whole["told"].values()) <= {"acknowledged", "refused"}
    assert [op for op, word in whole["told"].items() if word == "refused"] == [op for op in ops if op == STALE]
    figures.calls = len(whole["calls"])
    first = max(1, figures.calls - last + 1) if last else 1
    points = [
        (mode, number)
        for shift, mode in enumerate(modes)
        for number in range(first + shift % step, figures.calls + 1, step)
    ]
    for begin in range(0, len(points), TOGETHER):
        for row in await _children(child, directory, scenario, points[begin : begin + TOGETHER]):
            figures.fault_points += 1
            mode = row["mode"]
            place = directory / "out" / f"{mode}-{row['fail_at']}"
            point = whole["calls"][row["fail_at"] - 1]
            try:
                _check_calls(row, whole["calls"])
                _judge(figures, row, before, await durable_in(place, directory / "aside"), ops)
            except (AssertionError, ShoalError) as error:
                figures.violations.append(f"{scenario}, {mode} at {row['fail_at']} ({point}): {error}")
            shutil.rmtree(place)
    return figures


def _check_calls(row: dict[str, Any], whole: list[str]) -> None:
    """The fault was met, and at the call that stands there when nothing fails; else the sweep has holes."""
    assert "error" not in row, row["error"]
    assert "failed" not in row, f"the process failed: {row.get('why')}"
    until_it = whole[: row["fail_at"]]
    assert row.get("killed") or row["calls"][: row["fail_at"]] == until_it, "the fault was met elsewhere, or never"


def _judge(figures: FiuFigures, row: dict[str, Any], before: Durable, after: Durable, ops: list[str]) -> None:
    told: dict[str, str] = row.get("told") or dict.fromkeys(ops, "unknown")
    for op_id, word in told.items():
        figures.told[word] = figures.told.get(word, 0) + 1
        assert word == "unknown" or (op_id in after.ops) is (word == "acknowledged"), f"{op_id} was {word}"
    made = {op_id for op_id in ops if op_id in after.ops}
    if figures.scenario != "each":
        assert made in (set(), set(ops)), f"half of it is there: {made}"
    assert row.get("went_on") in {None, True}, "no later change was written"
    if not made and not row.get("went_on"):
        assert after.rows == before.rows


async def _children(
    program: Path, directory: Path, scenario: str, points: list[tuple[str, int]]
) -> list[dict[str, Any]]:
    """Play the scenario once for each mode and number, all from one process: its start costs as much as ten of them.

    Python's own allocator maps its arenas by the mmap that libfiu watches: the question whether that call fails is
    answered in Python, which would enter the allocator again in the middle of it and crash.
    """
    assert FIU_RUN is not None
    out = directory / "out"
    out.mkdir(exist_ok=True)
    child = await asyncio.create_subprocess_exec(
        FIU_RUN, "-x", "-f", "", sys.executable, str(program), str(directory / "base"), str(out), scenario,
        *(f"{mode}:{number}" for mode, number in points),
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "PYTHONMALLOC": "malloc"},
    )  # fmt: skip
    said, errors = await child.communicate()
    assert child.returncode == 0, errors.decode()
    return [json.loads(line) for line in said.decode().splitlines()]
