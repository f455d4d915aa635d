"""Looks into the database, beside a server that may be using it: damage, schema, keys, and the proxies of accounts."""

from __future__ import annotations

import os
import sqlite3
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, func, inspect, select, text
from sqlalchemy.engine import URL
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import NullPool

from shoal.cli.doctor.findings import Finding, Level, Look, failure, fine, refusal, warning
from shoal.cli.doctor.postgresql import not_let_in, sentence_of
from shoal.clock import WRONG_MS, now_ms
from shoal.cluster.clock_offset import MOST_MS, WARNED_MS, certainly_ahead
from shoal.cluster.node_rows import database_now, other_nodes
from shoal.config import Settings
from shoal.errors import ConfigError, StoreError
from shoal.server.open_storage import key_of, site_of
from shoal.storage.change_rows import COOKIE_COLUMN, PROXY_COLUMN
from shoal.storage.data_directory import DATABASE_FILE, KEY_FILE, MARKER_FILE
from shoal.storage.database_preparation import check_fitness
from shoal.storage.engines import database_url, is_sqlite, open_engine
from shoal.storage.last_sure_time import AWAY_MS, stored_moment_ms
from shoal.storage.migrations import is_newest, newest
from shoal.storage.migrations.marks import check_unmarked
from shoal.storage.schema import accounts, store_meta
from shoal.storage.sealed_values import count_by_key, has_sealed_values
from shoal.storage.vault import Vault

_CHECK_SECONDS = 60.0
_BUSY_SECONDS = 2.0
_STEPS_BETWEEN_LOOKS = 100_000
_MIB = 1024 * 1024


class Examined:
    """What was found in the database."""

    def __init__(self) -> None:
        self.findings: list[Finding] = []
        self.accounts = 0
        self.proxies: Counter[str] = Counter()
        """How many accounts that are on have each proxy; the empty text: none."""
        self.servers: list[tuple[str, str]] = []
        """Names and addresses of the other living servers, and of this one's workers."""


def examine_data(settings: Settings) -> Examined:
    """Look into the database and at the key, without changing either."""
    found = Examined()
    try:
        url = database_url(settings.database_url.get_secret_value() if settings.database_url else "", settings.data_dir)
    except ConfigError as error:
        found.findings.append(refusal(Look.DATABASE, error))
        return found
    if is_sqlite(url) and not _is_there(Path(str(url.database)), settings, found):
        return found
    try:
        with _reading(url) as connection:
            _look_into(connection, settings, found)
    except (SQLAlchemyError, sqlite3.Error) as error:
        why = sentence_of(error, url.password)
        if is_sqlite(url):
            found.findings.append(failure(Look.DATABASE, "database_closed", why=why))
        else:
            found.findings.append(not_let_in(why))
    return found


def _is_there(file: Path, settings: Settings, found: Examined) -> bool:
    """Return whether there is a file to look into; add the finding when there is none."""
    if file.is_file() and file.stat().st_size:
        if file.stat().st_uid != os.geteuid():
            found.findings.append(warning(Look.DATABASE, "database_of_other", path=file))
            return False  # SQLite would make files beside it that its owner could not open
        if not os.access(file, os.R_OK | os.W_OK):
            found.findings.append(failure(Look.DATABASE, "database_unwritable", path=file))
            return False
        return True
    if (settings.data_dir / MARKER_FILE).exists():
        error = ConfigError("startup.database_missing", directory=file.parent, name=file.name, marker=MARKER_FILE)
        found.findings.append(refusal(Look.DATABASE, error))
    else:
        found.findings.append(fine(Look.DATABASE, "database_new", name=DATABASE_FILE))
    return False


@contextmanager
def _reading(url: URL) -> Iterator[Connection]:
    engine = _engine(url)
    try:
        with engine.connect() as connection:
            yield connection
    finally:
        engine.dispose()


def _engine(url: URL) -> Engine:
    if not is_sqlite(url):
        return open_engine(url, busy_seconds=_BUSY_SECONDS, begin="BEGIN", read_only=True, poolclass=NullPool)
    place = f"{Path(str(url.database)).as_uri()}?mode=ro"

    def connect() -> sqlite3.Connection:
        return sqlite3.connect(place, uri=True, timeout=_BUSY_SECONDS)

    return create_engine("sqlite://", creator=connect, poolclass=NullPool, hide_parameters=True)


def _look_into(connection: Connection, settings: Settings, found: Examined) -> None:
    sound = _soundness(connection)
    found.findings.append(sound)
    if sound.level is Level.FAIL:
        return
    if settings.node:
        found.findings.append(_clock(connection))
    if not inspect(connection).get_table_names():
        found.findings.append(fine(Look.SCHEMA, "database_new", name=DATABASE_FILE))
        return
    schema = _schema(connection)
    found.findings.append(schema)
    if schema.level is not Level.OK:
        return  # this program does not know the tables of another version
    bound = connection.scalar(select(store_meta.c.value).where(store_meta.c.key == "site")) or ""
    site = site_of(settings)
    if bound not in {"", site} and bound not in site.split():
        found.findings.append(refusal(Look.BOUND_SITE, ConfigError("startup.other_site", bound=bound, site=site)))
    if settings.node:
        found.servers = [(one.name, one.address) for one in other_nodes(connection, settings.node)]
    if (clock := _clock_since(stored_moment_ms(connection))) is not None:
        found.findings.append(clock)
    found.accounts = connection.scalar(select(func.count()).where(accounts.c.enabled, ~accounts.c.deleted)) or 0
    _look_at_key(connection, settings, found)


def _clock(connection: Connection) -> Finding:
    """Compare this machine's clock with the database's, by which several servers go."""
    began, asked_ms = time.monotonic(), now_ms()
    database_ms = database_now(connection)
    ahead_ms = certainly_ahead(asked_ms, database_ms, time.monotonic() - began)
    seconds = f"{ahead_ms / 1000:+.1f}"
    if abs(ahead_ms) > MOST_MS:
        return failure(Look.DATABASE_CLOCK, "database_clock_wrong", seconds=seconds)
    if abs(ahead_ms) > WARNED_MS:
        return warning(Look.DATABASE_CLOCK, "database_clock_wrong", seconds=seconds)
    return fine(Look.DATABASE_CLOCK, "database_clock")


def _clock_since(stored_ms: int) -> Finding | None:
    """Compare this machine's clock with the last moment of which the server was sure. It may have been off since."""
    ahead_ms = now_ms() - stored_ms if stored_ms else 0
    if -WRONG_MS <= ahead_ms <= AWAY_MS:
        return None
    return (failure if ahead_ms < 0 else warning)(Look.CLOCK, "clock_since", seconds=round(ahead_ms / 1000))


def _soundness(connection: Connection) -> Finding:
    raw: Any = connection.connection.dbapi_connection
    if not isinstance(raw, sqlite3.Connection):
        try:
            check_fitness(connection, creates_tables=not is_newest(connection))
        except ConfigError as error:
            return refusal(Look.DATABASE, error)
        version = connection.scalar(text("SELECT current_setting('server_version')"))
        size = connection.scalar(text("SELECT pg_database_size(current_database())"))
        return fine(Look.DATABASE, "database_postgresql", version=version, size=int(size or 0) // _MIB)
    until = time.monotonic() + _CHECK_SECONDS
    raw.set_progress_handler(lambda: time.monotonic() > until, _STEPS_BETWEEN_LOOKS)
    try:
        sound = raw.execute("PRAGMA quick_check(1)").fetchone()[0] == "ok"
    except sqlite3.DatabaseError as error:
        if time.monotonic() > until:
            return warning(Look.DATABASE, "database_large", seconds=round(_CHECK_SECONDS))
        if isinstance(error, sqlite3.OperationalError):
            raise
        sound = False
    finally:
        raw.set_progress_handler(None, 0)
    if not sound:
        return failure(Look.DATABASE, "database_damaged")
    return fine(Look.DATABASE, "database_sound", version=sqlite3.sqlite_version)


def _schema(connection: Connection) -> Finding:
    if not inspect(connection).has_table("alembic_version"):
        return refusal(Look.SCHEMA, ConfigError("startup.foreign_database"))
    stored = str(connection.scalar(text("SELECT version_num FROM alembic_version")) or "")
    if stored == newest():
        return fine(Look.SCHEMA, "schema", schema=stored)
    try:
        check_unmarked(connection, stored)
    except ConfigError as error:
        return refusal(Look.SCHEMA, error)
    if stored > newest():
        return refusal(Look.SCHEMA, ConfigError("startup.database_too_new", schema=stored))
    return warning(Look.SCHEMA, "schema_old", schema=stored, newest=newest())


def _look_at_key(connection: Connection, settings: Settings, found: Examined) -> None:
    file = settings.data_dir / KEY_FILE
    if key_of(settings) is None and not file.exists() and not has_sealed_values(connection):
        found.findings.append(fine(Look.KEY, "key_new"))
        return
    try:
        vault = Vault.load(file, key_of(settings), create=False)
    except ConfigError as error:
        found.findings.append(refusal(Look.KEY, error))
        return
    lacking = {key: count for key, count in count_by_key(connection).items() if key not in vault.key_ids}
    if lacking:
        keys = ", ".join(key.hex() for key in lacking)
        found.findings.append(failure(Look.KEY, "key_lacking", count=sum(lacking.values()), keys=keys, path=file))
        return
    unreadable = _read_proxies(connection, vault, found)
    if unreadable:
        found.findings.append(failure(Look.KEY, "key_wrong", count=unreadable, path=file))
    else:
        found.findings.append(fine(Look.KEY, "key", count=len(vault.key_ids)))


def _read_proxies(connection: Connection, vault: Vault, found: Examined) -> int:
    """Note the proxies of accounts that are on. Return how many values the keys do not open."""
    unreadable = 0
    rows = connection.execute(
        select(accounts.c.id, accounts.c.cookie_sealed, accounts.c.proxy_sealed, accounts.c.enabled, accounts.c.deleted)
    )
    for row in rows:
        try:
            if row.cookie_sealed is not None:
                vault.open(row.cookie_sealed, account_id=row.id, column=COOKIE_COLUMN)
            sealed = row.proxy_sealed
            proxy = "" if sealed is None else vault.open(sealed, account_id=row.id, column=PROXY_COLUMN)
        except StoreError:
            unreadable += 1
            continue
        if row.enabled and not row.deleted:
            found.proxies[proxy] += 1
    return unreadable
