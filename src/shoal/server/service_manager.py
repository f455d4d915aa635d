"""Notifies the service manager that started the server (systemd, Podman) that it is ready, alive, and ends.

The protocol is that of ``sd_notify(3)``: datagrams of ``NAME=value`` lines to the socket that ``NOTIFY_SOCKET`` names.
"""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Mapping
from typing import Final

import structlog

log = structlog.get_logger("shoal.service_manager")

_READY: Final = b"READY=1"
_ALIVE: Final = b"WATCHDOG=1"
_STOPPING: Final = b"STOPPING=1"
_AGAIN_SECONDS: Final = 1.0
"""When to repeat what found no room in the socket's queue."""
_SHARE: Final = 3
"""So many signs of life are sent within the time in which one must come: two may be late or lost."""


class ServiceManager:
    """Sends from the event loop, so that a loop that stands still sends nothing, and the manager restarts the server.

    Without a socket it does nothing. A socket that cannot be used is logged once; the server goes on.
    """

    def __init__(self, address: str = "", *, watchdog_seconds: float | None = None) -> None:
        self._address = f"\0{address[1:]}" if address.startswith("@") else address
        self.every_seconds = None if watchdog_seconds is None else watchdog_seconds / _SHARE
        """Between two signs of life; ``None``: the service manager expects none."""
        self._socket: socket.socket | None = None
        self._task: asyncio.Task[None] | None = None
        self._was_refused = False

    @classmethod
    def named_in(cls, environment: Mapping[str, str], process: int) -> ServiceManager:
        """Return the manager that the environment names. Its watchdog may be for another process of the service."""
        interval = environment.get("WATCHDOG_USEC", "")
        for_us = environment.get("WATCHDOG_PID", "") in {"", str(process)}
        seconds = int(interval) / 1e6 if for_us and interval.isdecimal() and int(interval) > 0 else None
        return cls(environment.get("NOTIFY_SOCKET", ""), watchdog_seconds=seconds)

    def ready(self) -> None:
        """Report that the server listens, and then, as often as the watchdog asks for it, that it lives."""
        if self._address and self._task is None:
            self._task = asyncio.create_task(self._keep(), name="service manager")

    def stopping(self) -> None:
        """Report that the server ends. Signs of life go on until ``close``."""
        if self._address:
            self._send(_STOPPING)

    def notify(self, message: bytes) -> bool:
        """Send a message, if there is a manager. Return whether it is in its queue."""
        return bool(self._address) and self._send(message)

    async def close(self) -> None:
        """Stop the signs of life, and close the socket."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None
        self.hang_up()

    def hang_up(self) -> None:
        """Close the socket."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    async def _keep(self) -> None:
        while not self._send(_READY):  # noqa: ASYNC110  the manager does not report when it has read
            await asyncio.sleep(_AGAIN_SECONDS)
        while self.every_seconds is not None:
            self._send(_ALIVE)
            await asyncio.sleep(self.every_seconds)

    def _send(self, message: bytes) -> bool:
        """Send without waiting; return whether the message is in the queue of the manager."""
        try:
            if self._socket is None:
                self._socket = _connected(self._address)
            self._socket.send(message)
        except OSError as error:
            if not self._was_refused:
                log.warning("the service manager does not hear", why=error.strerror or str(error))
            self._was_refused = True
            if self._socket is not None:
                self._socket.close()  # a manager that was restarted listens at a new socket of the same name
                self._socket = None
            return False
        self._was_refused = False
        return True


class ParentNotices:
    """What a parent without an event loop sends to the service manager: its own loop asks when the next sign is due."""

    def __init__(self, manager: ServiceManager) -> None:
        self._manager = manager
        self._is_ready = False
        self._due_at = 0.0

    @classmethod
    def named_in(cls, environment: Mapping[str, str], process: int) -> ParentNotices:
        """Return those to the manager that the environment names."""
        return cls(ServiceManager.named_in(environment, process))

    def ready(self) -> None:
        """Report, once, that all workers serve."""
        if not self._is_ready:
            self._is_ready = self._manager.notify(_READY)

    def stopping(self) -> None:
        """Report that the server ends."""
        self._manager.stopping()

    def close(self) -> None:
        """Report nothing any more."""
        self._manager.hang_up()

    def alive_in(self) -> float:
        """Give a sign of life if one is due. Return the seconds until the next one."""
        every = self._manager.every_seconds
        if every is None:
            return 3600.0
        if self._is_ready and time.monotonic() >= self._due_at:
            self._manager.notify(_ALIVE)
            self._due_at = time.monotonic() + every
        return max(0.1, min(every, self._due_at - time.monotonic()))


def _connected(address: str) -> socket.socket:
    opened = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        opened.setblocking(False)
        opened.connect(address)
    except OSError:
        opened.close()
        raise
    return opened
