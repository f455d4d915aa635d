"""Names of database errors, and what the operator should do about them."""

from __future__ import annotations

import contextlib
import sqlite3
import sys
from collections.abc import Iterator
from pathlib import Path

from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from shoal.errors import ConfigError, NotApplied, StoreError


def database_errors() -> tuple[type[Exception], ...]:
    """Return the exceptions of a failing database.

    The driver of PostgreSQL is not imported for them: with an SQLite file it would cost each start 0.06 s and 5 MB.
    """
    driver = sys.modules.get("psycopg")
    return (SQLAlchemyError, sqlite3.Error) if driver is None else (SQLAlchemyError, sqlite3.Error, driver.Error)


def translated(error: BaseException) -> StoreError:
    """Return a database error as ``NotApplied``. Its text names the kind of failure and never a value."""
    name, sentence = kind_of(error)
    return NotApplied(f"the database refused: {sentence} ({name})", reason=name)


UNIQUE_VIOLATIONS = frozenset({"SQLITE_CONSTRAINT_UNIQUE", "23505"})
"""The drivers' names of a row that another row keeps out."""

_SQLITE_SENTENCES = {
    "SQLITE_BUSY": "another program holds its lock",
    "SQLITE_LOCKED": "another program holds its lock",
    "SQLITE_FULL": "the disk is full",
    "SQLITE_READONLY": "it is read-only",
    "SQLITE_IOERR": "the disk reports an error",
    "SQLITE_CORRUPT": "its file is damaged",
    "SQLITE_NOTADB": "its file is damaged",
    "SQLITE_CANTOPEN": "its file cannot be opened",
    "SQLITE_CONSTRAINT": "a row does not fit",
}
_SQLSTATE_SENTENCES = {
    "08": "the link was lost",
    "22": "a value does not fit",
    "23": "a row does not fit",
    "25": "it is read-only or its transaction stood still",
    "28": "it does not let us in",
    "40": "another transaction was in the way",
    "53": "it is out of resources",
    "55": "another program holds its lock",
    "57": "it was interrupted",
    "58": "the disk reports an error",
}


def kind_of(error: BaseException) -> tuple[str, str]:
    """Return the driver's name of the failure, and a message."""
    origin: BaseException = (error.orig or error) if isinstance(error, DBAPIError) else error
    if isinstance(origin, sqlite3.Error):
        name = getattr(origin, "sqlite_errorname", None) or type(origin).__name__
        return name, _SQLITE_SENTENCES.get("_".join(name.split("_")[:2]), "it failed")
    driver = sys.modules.get("psycopg")
    if driver is not None and isinstance(origin, driver.Error) and origin.sqlstate:
        return origin.sqlstate, _SQLSTATE_SENTENCES.get(origin.sqlstate[:2], "it failed")
    if driver is not None and isinstance(origin, driver.OperationalError):
        return "link_lost", "it cannot be reached"
    return type(origin).__name__, "it failed"


CLASH_RETRIES = 3
"""How often a group is written again when PostgreSQL ended it in favour of another transaction."""


def is_clash(error: BaseException) -> bool:
    """Return whether PostgreSQL ended a transaction in favour of another one: the same again may succeed."""
    return isinstance(error, database_errors()) and kind_of(error)[0] in {"40P01", "40001"}


@contextlib.contextmanager
def as_store_error() -> Iterator[None]:
    """Raise database errors as ``StoreError``."""
    try:
        yield
    except database_errors() as error:
        refusal = translated(error)
        raise StoreError(str(refusal), **refusal.params) from None


@contextlib.contextmanager
def opening(database: str, file: Path | None) -> Iterator[None]:
    """Raise failures while opening as messages for the operator."""
    try:
        yield
    except database_errors() as error:
        reason = translated(error)
        if reason.params["reason"] in {"SQLITE_NOTADB", "SQLITE_CORRUPT"} and file is not None:
            raise damaged(file) from None
        remedy = _remedy(reason.params["reason"])
        raise StoreError(f"{database} cannot be opened: {reason}; {remedy}", code="database_unusable") from None
    except OSError as error:
        raise ConfigError(
            "startup.database_unusable", path=database, why=error.strerror, code="database_unusable"
        ) from None


_REMEDIES = {
    "SQLITE_BUSY": "end the program that uses it, and start again",
    "SQLITE_LOCKED": "end the program that uses it, and start again",
    "SQLITE_FULL": "make room on its disk, and start again",
    "SQLITE_IOERR": "see to its disk, and start again",
    "SQLITE_READONLY": "make it readable and writable for this user",
    "SQLITE_CANTOPEN": "make it readable and writable for this user",
}


def _remedy(reason: str) -> str:
    """Return what the operator should do about a failure of this name."""
    kind = "_".join(reason.split("_")[:2])
    return _REMEDIES.get(kind, "run `shoal doctor`, which says why and what to do")


def damaged(path: Path) -> StoreError:
    """Return the error for a file that cannot be read as a database."""
    return StoreError(
        f"the database file {path} is damaged; keep it, and restore your newest backup in its place",
        code="database_damaged",
    )
