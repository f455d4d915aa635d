"""Lets a process fork what it would start by its own interpreter: imports are most of a start.

It has imported Shoal before. What it forks can itself be a program that starts others, such as the demo.
"""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, NoReturn

from greenlet import greenlet  # type: ignore[import-untyped]

from support.runs.warm_parent import end, run

_FORKED = ("-m", "shoal"), ("-P", "-m", "shoal.cli.demo.lifeline")
"""What begins the arguments of a command, and of a child of the demo. What a server starts does with few modules and
rights, and is started by the interpreter."""
_HANDLED = signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD


def fork_programs() -> None:
    """Fork each command of Shoal that asyncio is asked for from now on, here and in what is forked."""
    gc.freeze()
    spawn = asyncio.create_subprocess_exec

    async def forked(program: str, *arguments: str, **options: Any) -> asyncio.subprocess.Process:
        if program != sys.executable or not any(arguments[: len(begin)] == begin for begin in _FORKED):
            return await spawn(program, *arguments, **options)
        become = partial(_become, arguments, options.pop("env", os.environ.copy()))
        return await spawn(program, *arguments, **options, preexec_fn=become)

    asyncio.create_subprocess_exec = forked  # type: ignore[assignment]


def _become(arguments: Sequence[str], environment: Mapping[str, str]) -> NoReturn:
    """Be the program where the interpreter would be loaded, with its files, directory and session already set.

    The program has a stack of its own, as shallow as by the interpreter. Python keeps its frames in pieces of 16 KB,
    and maps the next piece anew for each call at the end of one: on the starter's stack the API's document took twice
    as long.
    """
    os.closerange(3, 1 << 16)  # with the one by which the starter is told of the program
    gc.freeze()  # what the starter had open is never collected here: its numbers are given to others
    signal.set_wakeup_fd(-1)
    for number in _HANDLED:
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    status = 1
    try:
        greenlet(run).switch([word for word in arguments if word != "-P"], environment)
        status = 0
    except SystemExit as ended:
        status = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    except BaseException:  # noqa: BLE001  as the interpreter does
        sys.excepthook(*sys.exc_info())
    finally:
        end(status)
