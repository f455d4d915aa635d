"""The parent of several workers: it holds the directory's lock and the port, and runs no shop itself.

Each worker is a node of its own, forked from this process, which has one thread, no loop and no open connection. A
worker that ends is declared dead at once, so that the others need not wait for its lease, and starts again. The workers
end when the parent does, however it ends: each watches its line to it.
"""

from __future__ import annotations

import contextlib
import gc
import os
import select
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterable
from typing import Final

import structlog
from sqlalchemy import create_engine
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import NullPool

from shoal.cluster.last_life import LifeFile
from shoal.cluster.node_rows import end_life
from shoal.config import Settings
from shoal.errors import ConfigError
from shoal.network.addresses import reachable_url
from shoal.server.bound_socket import bind
from shoal.server.listener import usable_certificate
from shoal.server.metrics_port import bind_for_metrics
from shoal.server.service_manager import ParentNotices
from shoal.server.worker import END, END_NOW, LOOK, Worker
from shoal.storage.data_directory import lock_directory, make_private_directory
from shoal.storage.engines import database_url, is_sqlite

log = structlog.get_logger("shoal.workers")

AGAIN_SECONDS: Final = (0.5, 30.0)
"""First and longest pause before a worker starts again; a worker that ran for a minute begins with the first."""
SOUND_SECONDS: Final = 60.0
END_SECONDS: Final = 60.0
"""How long the workers may take to end."""
LOCKED_SECONDS: Final = 10.0
"""How long the workers of a parent that died may hold the directory: they are ending."""
_SIGNALS: Final = (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGHUP)

RunWorker = Callable[[Settings, socket.socket, Worker], int]
"""Be a worker, to its end; returns the exit status. Called in the forked process."""


class _Place:
    """One worker's place: its number, its own socket, and the process that is in it."""

    def __init__(self, number: int, inner: socket.socket) -> None:
        self.number = number
        self.inner = inner
        self.pid = 0
        self.line: socket.socket | None = None
        self.is_ready = False
        self.is_outdated = False
        """The certificate was renewed while it started: it reads the files again once it can be told."""
        self.started_at = self.pause = 0.0
        self.due_at: float | None = 0.0
        """When it starts; ``None`` while it runs, or shall not."""


class Workers:
    """The processes of one server."""

    def __init__(self, settings: Settings, run_worker: RunWorker, ready: Callable[[str], None]) -> None:
        """``run_worker`` is called in each of them. ``ready`` is called here, with the address, when the first serves.

        Raises ``ConfigError`` for workers that could not share the shops.
        """
        self._settings = settings
        self._run_worker = run_worker
        self._ready = ready
        self._node = _check(settings)
        self._is_encrypted = usable_certificate(settings) is not None
        self._notices = ParentNotices.named_in(os.environ, os.getpid())
        self._taken = bind(settings.host, settings.port)
        self._metrics = bind_for_metrics(settings.metrics_port) if settings.metrics_port else None
        self._places = [_Place(number, self._bind_inner(number)) for number in range(1, settings.workers + 1)]
        self._wake, self._wakeup = socket.socketpair()
        self._ending_since: float | None = None
        self._status = 0
        self._has_served = False

    def run(self) -> int:
        """Run the workers until SIGTERM or SIGINT, or until one cannot start at all. Return the exit status."""
        make_private_directory(self._settings.data_dir)
        sockets = [self._wake, self._wakeup, self._taken, *(place.inner for place in self._places)]
        with contextlib.ExitStack() as stack:
            stack.callback(os.close, _locked(self._settings))
            stack.callback(self._notices.close)
            for one in [*sockets, *([self._metrics] if self._metrics else [])]:
                stack.enter_context(contextlib.closing(one))
            for end in (self._wake, self._wakeup):
                end.setblocking(False)
            for number in _SIGNALS:
                signal.signal(number, lambda *_: None)
            signal.set_wakeup_fd(self._wakeup.fileno(), warn_on_full_buffer=False)
            stack.callback(signal.set_wakeup_fd, -1)
            gc.freeze()  # what is loaded is shared with the workers until somebody writes to it
            while self._turn():
                pass
        return self._status

    # ── one turn ────────────────────────────────────────────────────────────────────────────────────────────────

    def _turn(self) -> bool:
        """Start who is due, wait for news, and see to it. Return whether any worker is left, or is to start."""
        self._start_due()
        if not any(place.pid or place.due_at is not None for place in self._places):
            return False
        lines = {place.line: place for place in self._places if place.line is not None}
        readable, _, _ = select.select([self._wake, *lines], [], [], self._patience())
        for one in readable:
            if one is not self._wake:
                self._read(lines[one])
        if self._wake in readable:
            with contextlib.suppress(BlockingIOError):
                for number in self._wake.recv(4096):
                    self._signalled(number)
        self._reap()
        if self._ending_since is not None and time.monotonic() - self._ending_since > END_SECONDS:
            for place in self._places:
                if place.pid:
                    log.error("a worker does not end: it is killed", worker=place.number)
                    os.kill(place.pid, signal.SIGKILL)
        return True

    def _patience(self) -> float:
        """Return the seconds until something is due."""
        now = time.monotonic()
        places = self._places if self._any_serves() else self._places[:1]  # the others wait for it, not for the clock
        waits = [max(0.0, place.due_at - now) for place in places if place.due_at is not None]
        return min([*waits, self._notices.alive_in(), END_SECONDS if self._ending_since is None else 1.0])

    def _any_serves(self) -> bool:
        return any(place.is_ready for place in self._places)

    def _start_due(self) -> None:
        """Start who is due. On a new database the first makes the tables and the first user before the others come."""
        for place in self._places:
            is_its_turn = self._any_serves() or place is self._places[0]
            if place.due_at is not None and place.due_at <= time.monotonic() and is_its_turn:
                self._fork(place)

    def _read(self, place: _Place) -> None:
        words = b""
        with contextlib.suppress(OSError):
            words = place.line.recv(64) if place.line is not None else b""
        if not words:  # it has ended, or is about to: SIGCHLD reports it
            _hang_up(place)
            return
        place.is_ready = True
        if place.is_outdated:
            place.is_outdated = False
            os.kill(place.pid, signal.SIGHUP)
        log.info("a worker serves", worker=place.number, process=place.pid)
        if not self._has_served:
            self._has_served = True
            address = self._taken.getsockname()
            scheme = "https" if self._is_encrypted else "http"
            self._ready(reachable_url(self._settings.host, address[1], scheme=scheme))
        if all(one.is_ready for one in self._places):
            self._notices.ready()

    def _signalled(self, number: int) -> None:
        if number == signal.SIGHUP and self._is_encrypted:
            for place in self._places:
                place.is_outdated = place.pid > 0 and not place.is_ready
                if place.is_ready:
                    os.kill(place.pid, signal.SIGHUP)
        elif number in {signal.SIGTERM, signal.SIGINT, signal.SIGHUP}:
            self._end(END_NOW if self._ending_since is not None else END)

    def _end(self, word: bytes) -> None:
        if self._ending_since is None:
            log.info("stopping", workers=sum(place.pid > 0 for place in self._places))
            self._ending_since = time.monotonic()
            self._notices.stopping()
        for place in self._places:
            place.due_at = None
            _send_word(place, word)

    # ── processes ───────────────────────────────────────────────────────────────────────────────────────────────

    def _fork(self, place: _Place) -> None:
        ours, theirs = socket.socketpair()
        sys.stdout.flush()
        sys.stderr.flush()
        blocked = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)  # none may reach the child as if it were us
        pid = os.fork()
        if pid == 0:
            self._become(place, theirs, [ours, *(one.line for one in self._places if one.line is not None)], blocked)
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
        theirs.close()
        place.pid, place.line, place.is_ready, place.is_outdated, place.due_at = pid, ours, False, False, None
        place.started_at = time.monotonic()

    def _become(self, place: _Place, line: socket.socket, parents: list[socket.socket], blocked: Iterable[int]) -> None:
        """Be the worker, and end with it."""
        status = 1
        try:
            signal.set_wakeup_fd(-1)
            for one in _SIGNALS:
                signal.signal(one, signal.SIG_DFL)
            os.setsid()  # Ctrl-C is meant for the parent, which notifies the workers once
            for end in (self._wake, self._wakeup, *parents, *(one.inner for one in self._places if one is not place)):
                end.close()
            os.environ.pop("NOTIFY_SOCKET", None)
            signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
            address = self._address_of(place)
            mine = self._settings.model_copy(update={"node": f"{self._node}/{place.number}", "node_address": address})
            plain = not self._settings.node_address
            worker = Worker(
                line=line, inner=place.inner, plain=plain, metrics=self._metrics, is_again=place.started_at > 0
            )
            status = self._run_worker(mine, self._taken, worker)
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(status)

    def _reap(self) -> None:
        for place in self._places:
            if not place.pid:
                continue
            pid, status = os.waitpid(place.pid, os.WNOHANG)
            if pid:
                self._ended(place, os.waitstatus_to_exitcode(status))

    def _ended(self, place: _Place, status: int) -> None:
        """Free the shards of a worker that has ended, notify the others, and let it start again."""
        began = time.monotonic()
        place.pid, place.is_ready = 0, False
        _hang_up(place)
        if self._ending_since is not None:
            return
        freed = end_worker(self._settings, f"{self._node}/{place.number}")
        for other in self._places:
            _send_word(other, LOOK)
        if not self._has_served:  # as one process would end
            self._status = status if status > 0 else 1
            self._end(END)
            return
        sound = began - place.started_at >= SOUND_SECONDS
        first, longest = AGAIN_SECONDS
        place.pause = first if sound or not place.pause else min(2 * place.pause, longest)
        place.due_at = began + place.pause
        seconds = round(time.monotonic() - began, 3)
        log.error("a worker has ended", worker=place.number, status=status, freed=freed, took=seconds)

    # ── addresses ───────────────────────────────────────────────────────────────────────────────────────────────

    def _bind_inner(self, number: int) -> socket.socket:
        """Bind where a worker is called by other servers; without an address of this server, only on this machine."""
        if not self._settings.node_address:
            return bind("127.0.0.1", 0)
        return bind(self._settings.host, self._settings.port + number if self._settings.port else 0)

    def _address_of(self, place: _Place) -> str:
        port = place.inner.getsockname()[1]
        if not self._settings.node_address:
            return f"http://127.0.0.1:{port}"
        scheme, _, place_of = self._settings.node_address.rstrip("/").partition("://")
        host = place_of if place_of.endswith("]") else place_of.rpartition(":")[0] or place_of
        return f"{scheme}://{host}:{port}"


def _hang_up(place: _Place) -> None:
    if place.line is not None:
        place.line.close()
        place.line = None


def _send_word(place: _Place, word: bytes) -> None:
    if place.line is not None:
        with contextlib.suppress(OSError):
            place.line.send(word)


def _locked(settings: Settings) -> int:
    """Lock the directory; the workers inherit the lock. Those of a parent that just died hold it a moment longer."""
    deadline = time.monotonic() + LOCKED_SECONDS
    while True:
        try:
            return lock_directory(settings.data_dir)
        except ConfigError as error:
            if time.monotonic() > deadline or _is_alive(str(error.params.get("process", ""))):
                raise
        time.sleep(0.1)


def _is_alive(process: str) -> bool:
    with contextlib.suppress(ValueError, ProcessLookupError, PermissionError):
        os.kill(int(process), 0)
        return True
    return False


def _check(settings: Settings) -> str:
    """Return the name of this server. Raises ``ConfigError`` for workers that could not share the shops."""
    if not settings.node:
        raise ConfigError("startup.workers_need_node", code="workers_need_node")
    url = settings.database_url.get_secret_value() if settings.database_url else ""
    if is_sqlite(database_url(url, settings.data_dir)):
        raise ConfigError("startup.workers_need_postgresql", code="workers_need_postgresql")
    return settings.node


SECONDS = 3
"""How long the database may take, each for the connection and the statement. The worker's next start tries again."""


def end_worker(settings: Settings, node: str) -> bool:
    """Declare the last life of a worker dead, by a connection of its own. Return whether it was not dead yet.

    Its process certainly has ended, and the kernel has closed its sockets. Without an answer of the database its lease
    runs out, unless it starts again before.
    """
    life = LifeFile(settings.data_dir, node).read()
    url = settings.database_url.get_secret_value() if settings.database_url else ""
    if life is None:
        return False
    limits = {"connect_timeout": SECONDS, "options": f"-c statement_timeout={SECONDS}s", "tcp_user_timeout": 4000}
    engine = create_engine(database_url(url, settings.data_dir), poolclass=NullPool, connect_args=limits)
    try:
        with engine.connect() as connection, connection.begin():
            return end_life(connection, life)
    except SQLAlchemyError as error:
        log.warning("a worker could not be declared dead: its lease runs out", node=node, why=type(error).__name__)
        return False
    finally:
        engine.dispose()
