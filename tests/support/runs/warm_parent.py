"""The process that warm ones are forked from: it has imported Shoal and made its commands, and runs nothing of it.

Run as ``python warm_parent.py PLACE``: it listens at that socket until the last process of a test run has ended. For
each it forks one that takes orders. An order is a line of JSON with four files: the program's input, its output, its
log, and where its pid and then its exit status are told. A keeper waits for each program; killed, each ends what it has
forked. Passwords are cheap to check in what it forks.
"""

from __future__ import annotations

import atexit
import ctypes
import functools
import gc
import importlib
import json
import os
import runpy
import signal
import socket
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

_IMPORTED = (
    "shoal.server.listener", "shoal.server.reply_server", "shoal.sandbox.server", "shoal.sandbox.__main__", "uvloop",
    "encodings.idna", "pydantic.v1", "typer._adapters", "uvicorn.lifespan.on", "zxcvbn",
    "encodings.ascii", "uvicorn.lifespan.off", "shoal.logs.logs", "rich._emoji_codes", "anyio._backends._asyncio",
    "psycopg", "shoal.storage.silence_limit", "shoal.storage.commit_hints", "shoal.server.open_stream",
    "shoal.server.workers", "shoal.server.metrics_port", "aiohttp.web",
    "typer.rich_utils", "alembic.command", "alembic.ddl", "mako.template", "shoal.maintenance.backup.restoring",
)  # fmt: skip
"""Most of what a server, a sandbox or a command imports before it has done its first work.

The driver of PostgreSQL alone is 0.1 s of a processor.
"""
_AUTHORITIES = ("SSL_CERT_FILE", "SSL_CERT_DIR")
_PR_SET_PDEATHSIG = 1
_FILES = 4
_FIRST_SECONDS = 60.0
_LOOK_SECONDS = 0.5
"""How often it looks whether the last one has ended."""


def _main() -> None:
    place = sys.argv[1]
    listener = socket.socket(socket.AF_UNIX)
    try:
        listener.bind(place)
    except OSError:  # another process of this run was quicker
        return
    listener.listen(64)
    if os.fork() == 0:  # who starts it waits only until it listens
        os.setsid()
        _import_all()
        _serve(listener, place)


def import_programs() -> None:
    """Import what servers, sandboxes and commands need, and make passwords cheap to check."""
    gc.disable()  # until what is imported is set apart
    for name in _IMPORTED:
        importlib.import_module(name)
    importlib.import_module("shoal.server.route_table").routers()
    hasher = importlib.import_module("support.runs.quick_start").cheap_hasher
    importlib.import_module("shoal.auth.passwords").PasswordHasher = hasher  # type: ignore[attr-defined]


def _import_all() -> None:
    sys.path[0] = str(Path(__file__).parents[2])  # where the tests look for ``support``
    import_programs()
    del sys.path[0]
    typer_main = importlib.import_module("typer.main")
    typer_main.get_command = functools.cache(typer_main.get_command)  # type: ignore[attr-defined]
    for command in typer_main.get_command(importlib.import_module("shoal.cli.app").app).commands.values():
        assert command.name
    gc.collect()
    gc.freeze()
    gc.enable()


def _serve(listener: socket.socket, place: str) -> NoReturn:
    """Fork a process for each that connects, and end when the last of them has ended."""
    listener.settimeout(_FIRST_SECONDS)
    others, is_last = 0, False
    while True:
        try:
            orders, _ = listener.accept()
        except (TimeoutError, BlockingIOError):
            while others and os.waitpid(-1, os.WNOHANG)[0]:
                others -= 1
            if others:
                continue
            if is_last:
                os._exit(0)
            os.unlink(place)  # noqa: PTH108  from now on who wants one starts another
            is_last = True
            listener.settimeout(0)  # but for those that connected before
            continue
        listener.settimeout(_LOOK_SECONDS)
        others += 1
        if os.fork() == 0:
            listener.close()
            _take_orders(orders)
        orders.close()


def _take_orders(orders: socket.socket) -> NoReturn:
    orders.sendall(b"%d\n" % os.getpid())
    while True:
        text, files = _next_order(orders)
        with suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        if not text:
            os._exit(0)
        if os.fork() == 0:
            orders.close()
            _keep(json.loads(text), *files)
            end()
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


def _keep(order: dict[str, Any], entry: int, output: int, log: int, told: int) -> None:
    """Fork the program and wait for its end. Returns in the program only, when it has ended by itself."""
    _end_with_the_parent()
    pid = os.fork()
    if pid == 0:
        _become(order, entry, output, log)
        return
    os.close(entry)
    os.close(output)
    os.write(told, b"%d\n" % pid)
    _, status = os.waitpid(pid, 0)
    os.write(told, b"%d\n" % os.waitstatus_to_exitcode(status))
    os._exit(0)


def _become(order: dict[str, Any], entry: int, output: int, log: int) -> None:
    """Be ``python ARGUMENTS`` with that environment, to the end of the program."""
    os.dup2(entry, 0)
    os.dup2(output, 1)
    os.dup2(log, 2)
    os.closerange(3, 1 << 16)
    if order["apart"]:
        os.setsid()
    _end_with_the_parent()
    try:
        run(order["arguments"], order["environment"])
    except SystemExit as ended:
        if not isinstance(ended.code, int):
            raise
        end(ended.code)


def run(arguments: Sequence[str], environment: Mapping[str, str]) -> None:
    """Run ``python ARGUMENTS`` with that environment in this process, to the end of the program."""
    has_other_authorities = any(os.environ.get(name) != environment.get(name) for name in _AUTHORITIES)
    os.environ.clear()
    os.environ.update(environment)
    if has_other_authorities:  # aiohttp reads them when it is imported
        connector: Any = importlib.import_module("aiohttp.connector")
        connector._SSL_CONTEXT_VERIFIED = connector._make_ssl_context(verified=True)
    program, *rest = arguments
    if program == "-m":
        sys.argv[:] = rest
        runpy.run_module(rest[0], run_name="__main__", alter_sys=True)
    else:
        sys.argv[:] = [program, *rest]
        runpy.run_path(program, run_name="__main__")


def end(status: int = 0) -> NoReturn:
    """End as the interpreter does, but leave the memory to the kernel: to free it all takes 0.1 s."""
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def _end_with_the_parent() -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


if __name__ == "__main__":
    _main()
