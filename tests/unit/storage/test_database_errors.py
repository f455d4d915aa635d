"""What a failure of the database is called, by its driver's own word or by what it is."""

from __future__ import annotations

import sqlite3
import sys

import psycopg
import pytest
from sqlalchemy.exc import DBAPIError

from shoal.errors import StoreError
from shoal.storage.database_errors import kind_of, opening


class Deadlock(psycopg.Error):
    """An answer of the server with a code."""

    sqlstate = "40P01"


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (psycopg.OperationalError("connection refused"), ("link_lost", "it cannot be reached")),
        (Deadlock("deadlock detected"), ("40P01", "another transaction was in the way")),
        (psycopg.InterfaceError("no such thing"), ("InterfaceError", "it failed")),
        (sqlite3.ProgrammingError("closed"), ("ProgrammingError", "it failed")),
        (ValueError("no database at all"), ("ValueError", "it failed")),
    ],
)
def test_a_failure_is_called_by_its_drivers_word_or_by_what_it_is(error: Exception, kind: tuple[str, str]) -> None:
    assert kind_of(error) == kind
    assert kind_of(DBAPIError("SELECT 1", None, error)) == kind


def test_a_failure_is_told_on_a_server_that_never_needed_postgresql(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "psycopg")
    assert kind_of(OSError(5, "input/output error")) == ("OSError", "it failed")


@pytest.mark.parametrize(
    ("name", "remedy"),
    [
        ("SQLITE_FULL", "make room"), ("SQLITE_IOERR_WRITE", "see to its disk"), ("SQLITE_BUSY", "end the program"),
        ("SQLITE_READONLY_DIRECTORY", "readable and writable"), ("SQLITE_ERROR", "shoal doctor"),
    ],
)  # fmt: skip
def test_a_database_that_cannot_be_opened_says_what_to_do(name: str, remedy: str) -> None:
    failure = sqlite3.OperationalError("no")
    failure.sqlite_errorname = name
    with pytest.raises(StoreError, match=remedy), opening("shoal.db", None):
        raise failure
