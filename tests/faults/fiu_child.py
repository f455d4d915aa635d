"""Runs under ``fiu-run -x``: tells a scenario to the real store, and lets the n-th system call of the writer fail.

Each telling happens in a process forked for it, on a copy of the database of its own. Lines of JSON on stdout say what
the callers were told. libfiu asks ``Faults`` at every call that it can fail; only the writing thread's are counted, and
only from the beginning of the one group that ``Gate`` makes of the scenario: so each telling makes the same calls.
"""

from __future__ import annotations

import asyncio
import ctypes
import errno
import json
import os
import shutil
import sys
import threading
import traceback
from pathlib import Path
from typing import Any

from faults.replay import changes_of, set_apart
from shoal.accounts.store import Committed, Op, Refused, Settlement
from shoal.errors import StoreError
from shoal.storage.database import Database
from shoal.storage.db_manager import DBManager, open_vault
from support.databases.store_steps import Settlements, edit, settled, stored

POINTS = (b"posix/io/rw/*", b"posix/io/sync/*", b"posix/io/oc/*", b"posix/mm/mmap")
WRITER_THREAD = "shoal-writer"
KILLED = 9
LONGEST_SECONDS = 60
"""After so long something hangs: even a busy machine needs a hundredth of it."""
_Ask = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.c_char_p, ctypes.POINTER(ctypes.c_int), ctypes.POINTER(ctypes.c_void_p),
    ctypes.POINTER(ctypes.c_uint),
)  # fmt: skip


class Faults:
    """Counts the writer's system calls; fails one (``once``, ``full``), all from it on (``dead``), or the process."""

    def __init__(self, fail_at: int, mode: str) -> None:
        self._fail_at = fail_at
        self._mode = mode
        self._armed = False
        self.calls: list[str] = []
        self._library = ctypes.CDLL("libfiu.so.0")
        self._library.fiu_init(0)
        self._ask = _Ask(self._fails)  # kept as long as libfiu may call it
        for point in POINTS:
            assert self._library.fiu_enable_external(point, 1, None, 0, self._ask) == 0

    def arm(self) -> None:
        self._armed = True

    def disarm(self) -> None:
        self._armed = False

    def _fails(self, name: bytes, _: Any, failinfo: Any, __: Any) -> int:
        if not self._armed or threading.current_thread().name != WRITER_THREAD:
            return 0
        self.calls.append(name.decode())
        number = len(self.calls)
        if number < self._fail_at or not self._fail_at or (number > self._fail_at and self._mode != "dead"):
            return 0
        if self._mode == "kill":
            os._exit(KILLED)
        failinfo[0] = errno.ENOSPC if self._mode == "full" else errno.EIO
        return 1


class Gate:
    """Holds the writer at the beginning of a transaction; arms the faults at the beginning of the next one.

    What is submitted during that becomes one group, however busy the machine is.
    """

    def __init__(self, faults: Faults) -> None:
        self._faults = faults
        self._state = "let pass"
        self.reached, self.opened = threading.Event(), threading.Event()

    def close(self) -> None:
        """Hold the next transaction until ``opened`` is set."""
        self._state = "hold"

    def __call__(self, point: str) -> None:
        """What the writer calls at each point of a transaction."""
        if point != "begin":
            return
        if self._state == "hold":
            self._state = "arm"
            self.reached.set()
            self.opened.wait(LONGEST_SECONDS)
        elif self._state == "arm":
            self._state = "let pass"
            self._faults.arm()


def _word(settlement: Settlement) -> str:
    if isinstance(settlement, Committed):
        return "acknowledged"
    return "refused" if isinstance(settlement, Refused) else "unknown"


async def _publish(place: Path, scenario: str, fail_at: int, mode: str) -> dict[str, Any]:
    """Play the scenario once; with ``full``, one change more."""
    faults = Faults(fail_at, mode)
    gate = Gate(faults)
    database = await Database(place, settle_seconds=0.2, reopen_seconds=(0.02, 0.1), fault_point=gate).open()
    store = DBManager(database, await open_vault(database, place / "secret.key"))
    accounts = (await store.load()).accounts
    changes = changes_of(scenario, [accounts[name] for name in sorted(accounts)])
    settlements = Settlements(store)
    works = set_apart(scenario, changes)
    gate.close()
    before_it = asyncio.create_task(database.write(lambda _: None))
    assert await asyncio.to_thread(gate.reached.wait, LONGEST_SECONDS), "the writer does not begin"
    for number, work in enumerate(works):
        settlements.submit(str(number), work)
    gate.opened.set()
    await before_it
    async with asyncio.timeout(LONGEST_SECONDS):
        while len({name for name, _ in settlements.seen}) < len(works):
            await settlements.wait_for(len(settlements.seen) + 1)
    if mode != "dead":
        faults.disarm()
        async with asyncio.timeout(LONGEST_SECONDS):  # it finds out by itself
            while len(settlements.final()) < len(works):
                await settlements.wait_for(len(settlements.seen) + 1)
    last = {name: _word(settlement) for name, settlement in settlements.seen}
    told = {change.op.op_id: last[str(number)] for number, work in enumerate(works) for change in work}
    went_on = await _goes_on(store) if mode == "full" else None
    return {"fail_at": fail_at, "mode": mode, "calls": faults.calls, "told": told, "went_on": went_on}


async def _goes_on(store: DBManager) -> bool:
    """Whether a later change is written. It leaves no op but its own."""
    account = await stored(store, "shop3")
    if account is None:
        return False
    change = edit(account, Op(op_id="afterwards", actor="user:ann", at_ms=1), pause_duration=account.pause_duration + 1)
    return isinstance(await settled(store, change), Committed)


def _in_a_fork(place: Path, scenario: str, fail_at: int, mode: str) -> str:
    """Tell it in a process of its own, which is ended without a farewell; what it said, or ``killed``."""
    readable, writable = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            row = json.dumps(asyncio.run(_left_open(place, scenario, fail_at, mode)))
            os.write(writable, row.encode())
        except BaseException:  # noqa: BLE001  the process ends here; what it met is told to who started it
            failure = {"fail_at": fail_at, "mode": mode, "failed": True, "why": traceback.format_exc()[-2000:]}
            os.write(writable, json.dumps(failure).encode())
        finally:
            os._exit(0)
    os.close(writable)
    with os.fdopen(readable) as said:
        text = said.read()
    _, status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status)
    if code == KILLED:
        return json.dumps({"fail_at": fail_at, "mode": mode, "killed": True})
    return text or json.dumps({"fail_at": fail_at, "mode": mode, "failed": True, "why": f"it ended with {code}"})


async def _left_open(place: Path, scenario: str, fail_at: int, mode: str) -> dict[str, Any]:
    try:
        return await _publish(place, scenario, fail_at, mode)
    except (StoreError, TimeoutError, AssertionError) as error:
        return {"fail_at": fail_at, "mode": mode, "error": f"{type(error).__name__}: {error}"}


def main() -> None:
    """``fiu_child.py BASE OUT SCENARIO MODE:N…``: one line for each."""
    base, out, scenario, *points = sys.argv[1:]
    for mode, _, number in (point.partition(":") for point in points):
        place = Path(out) / f"{mode}-{number}"
        shutil.copytree(base, place)
        print(_in_a_fork(place, scenario, int(number), mode), flush=True)  # noqa: T201  the parent reads it


if __name__ == "__main__":
    main()
