"""A real server that kills itself at one step of its first answer: ``python dying_server.py POINT serve``."""

from __future__ import annotations

import os
import signal
import sys
from typing import Any, NoReturn

from shoal.cli.app import main
from shoal.messages.outbox import Outbox
from shoal.xianyu.live_socket import LiveSocket


def die() -> NoReturn:
    """At once, with nothing said or stored."""
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("still alive")


def before(owner: Any, name: str) -> None:
    """Die when this is about to be done."""

    async def dying(*_: Any, **__: Any) -> NoReturn:
        die()

    setattr(owner, name, dying)


def after(owner: Any, name: str) -> None:
    """Die when this has been done."""
    done = getattr(owner, name)

    async def dying(*values: Any, **named: Any) -> NoReturn:
        await done(*values, **named)
        die()

    setattr(owner, name, dying)


POINTS = {
    "before_intent": lambda: before(Outbox, "queue"),
    "after_intent": lambda: after(Outbox, "queue"),
    "after_receipt": lambda: after(LiveSocket, "send"),
    "between_parts": lambda: before(Outbox, "begin"),
}

if __name__ == "__main__":
    POINTS[sys.argv[1]]()
    sys.argv = ["shoal", *sys.argv[2:]]
    main()
