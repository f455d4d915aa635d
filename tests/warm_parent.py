"""The process that warm ones are forked from: it has imported Shoal, and runs nothing of it.

Run as ``python warm_parent.py SOCKET``. An order is a line of JSON with three files: the program's output, its log, and
where its pid and then its exit status are told. A keeper waits for each program; killed, each ends what it has forked.
"""

from __future__ import annotations

import ctypes
import gc
import importlib
import json
import os
import runpy
import signal
import socket
import sys
from contextlib import suppress
from typing import Any

_IMPORTED = ("shoal.cli.app", "shoal.server.listener", "shoal.server.reply_server", "shoal.sandbox.server", "uvloop")
_PR_SET_PDEATHSIG = 1
_FILES = 3


def _main() -> None:
    orders = socket.socket(fileno=int(sys.argv[1]))
    del sys.path[0]  # of this file
    for name in _IMPORTED:
        importlib.import_module(name)
    gc.collect()
    gc.freeze()
    while True:
        text, files = _next_order(orders)
        with suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        if not text:
            return
        if os.fork() == 0:
            orders.close()
            _keep(json.loads(text), *files)
            return
        for file in files:
            os.close(file)


def _next_order(orders: socket.socket) -> tuple[bytes, list[int]]:
    text, files = b"", []
    while not text.endswith(b"\n"):
        more, found, _, _ = socket.recv_fds(orders, 1 << 16, _FILES)
        if not more:
            return b"", []
        text += more
        files += found
    return text, files


def _keep(order: dict[str, Any], output: int, log: int, told: int) -> None:
    """Fork the program and wait for its end. Returns in the program only, when it has ended by itself."""
    _end_with_the_parent()
    pid = os.fork()
    if pid == 0:
        _become(order, output, log)
        return
    os.close(output)
    os.write(told, b"%d\n" % pid)
    _, status = os.waitpid(pid, 0)
    os.write(told, b"%d\n" % os.waitstatus_to_exitcode(status))
    os._exit(0)


def _become(order: dict[str, Any], output: int, log: int) -> None:
    """Be ``python ARGUMENTS`` with that environment, to the end of the program."""
    os.dup2(output, 1)
    os.dup2(log, 2)
    os.closerange(3, 1 << 16)
    if order["apart"]:
        os.setsid()
    _end_with_the_parent()
    os.environ.clear()
    os.environ.update(order["environment"])
    program, *rest = order["arguments"]
    if program == "-m":
        sys.argv[:] = rest
        runpy.run_module(rest[0], run_name="__main__", alter_sys=True)
    else:
        sys.argv[:] = [program, *rest]
        runpy.run_path(program, run_name="__main__")


def _end_with_the_parent() -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


if __name__ == "__main__":
    _main()
