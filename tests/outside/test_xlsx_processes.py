"""Excel files in processes of their own: what is costly is refused or ended, and nothing of it stays."""

from __future__ import annotations

import asyncio
import signal
import sys
from contextlib import suppress
from functools import partial

import psutil
import pytest

from shoal.errors import InvalidInput
from shoal.rules.rule_xlsx import COLUMNS
from shoal.sheets.xlsx_processes import XlsxProcesses
from support.files.table_files import a_bomb, a_table, read_beside, texts_of
from support.site.standins import until


def children() -> list[psutil.Process]:
    found = []
    for one in psutil.Process().children():
        with suppress(psutil.Error):
            if "shoal.concurrency.bounded_worker" in one.cmdline():
                found.append(one)
    return found


def has_ended(process: psutil.Process) -> bool:
    with suppress(psutil.NoSuchProcess):
        return process.status() == psutil.STATUS_ZOMBIE
    return True


async def test_f9_small_files_that_unpack_into_much_are_refused_or_ended_by_the_time_they_cost(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SHOAL_SECRET_KEY", "never to be seen there")
    processes = XlsxProcesses(cpu_seconds=1)
    try:
        strings, styles = a_bomb(strings=3_000_000), a_bomb(styles=8_000_000)
        assert len(strings) < 100_000
        with pytest.raises(InvalidInput) as counted:
            await read_beside(processes, strings)
        assert (counted.value.code, counted.value.params["limit"]) == ("too_many_cells", 300_000)
        (first,) = children()
        with suppress(psutil.AccessDenied):  # of a process that allows no core only root is told
            assert not [name for name in first.environ() if name.startswith("SHOAL_")]
        with pytest.raises(InvalidInput) as ended:
            await read_beside(processes, styles)
        assert ended.value.code == "sheet_too_costly"
        await until(lambda: not first.is_running())
        table = await read_beside(processes, a_table([["词"], ["a"]]))  # a new process does the next
        assert [row.texts["words"] for row in table.rows] == ["a"]
    finally:
        await processes.close()
    assert not children()


async def test_g6_a_csv_file_whose_only_row_has_millions_of_cells_holds_its_own_process_alone() -> None:
    processes = XlsxProcesses()
    try:
        for read in (processes.csv_lines, partial(processes.read_csv, columns=COLUMNS, most=9)):
            with pytest.raises(InvalidInput) as refused:
                await read(b"," * 8_000_000 + b"x")
            assert refused.value.code == "csv_unreadable"
        with pytest.raises(InvalidInput) as refused:
            await processes.csv_lines(b"\xff\xff\xff\xff")
        assert refused.value.code == "unknown_encoding"
        text = "\n" + "".join(f'{number},"a\nb"\n,\n' for number in range(5_000))
        rows = await processes.csv_lines(text.encode())
        assert (len(rows), rows[0], rows[-1]) == (5_000, (2, ["0", "a\nb"]), (14_999, ["4999", "a\nb"]))
    finally:
        await processes.close()


async def test_f9_a_process_ends_with_the_caller_who_leaves_and_when_nobody_needs_it() -> None:
    processes = XlsxProcesses(idle_seconds=0.05)
    try:
        leaving = asyncio.create_task(read_beside(processes, a_bomb(styles=8_000_000)))
        await until(lambda: bool(children()))
        (child,) = children()
        leaving.cancel()
        await asyncio.wait({leaving})
        await until(lambda: not child.is_running())
        data = await processes.write("表", [], [["a", "=1"]])
        assert texts_of(data)[0] == "表"
        await until(lambda: not children())
    finally:
        await processes.close()


_WRITES_A_TABLE = """
import asyncio
from shoal.sheets.xlsx_processes import XlsxProcesses
async def main():
    await XlsxProcesses().write("a", [], [])
    print("written", flush=True)
    await asyncio.sleep(600)
asyncio.run(main())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends a process with its parent")
async def test_f9_a_server_that_is_killed_leaves_no_process_behind_that_is_busy_with_a_file() -> None:
    server = await asyncio.create_subprocess_exec(
        sys.executable, "-c", _WRITES_A_TABLE, stdout=asyncio.subprocess.PIPE, start_new_session=True
    )
    try:
        assert server.stdout is not None
        assert await server.stdout.readline() == b"written\n"
        (worker,) = psutil.Process(server.pid).children()
        worker.suspend()  # it cannot notice that its input ends, as one that is busy does not
    finally:
        server.kill()
        await server.wait()
    try:
        await until(lambda: has_ended(worker))
    finally:
        with suppress(psutil.NoSuchProcess):
            worker.send_signal(signal.SIGKILL)
