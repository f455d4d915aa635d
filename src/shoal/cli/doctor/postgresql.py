"""Says what to do about a PostgreSQL that does not let Shoal in."""

from __future__ import annotations

from typing import Final

from shoal.cli.doctor.findings import Finding, Level, Look
from shoal.cli.words import printable, words

_REMEDIES: Final = (
    (("resolve host", "translate host name"), "pg_unknown_host"),
    (("timeout",), "pg_timeout"),
    (("refused", "No such file"), "pg_not_running"),
    (("password",), "pg_password"),
    (("pg_hba.conf",), "pg_not_allowed"),
    (('role "',), "pg_no_role"),
    (('database "',), "pg_no_database"),
    (("too many", "connection slots"), "pg_full"),
    (("starting up", "recovery", "shutting down", "not yet accepting"), "pg_starting"),
)
"""Words of the driver and of the server, the first that fit, and the code of what to do. Before a session there is no
SQLSTATE; a server that speaks another language gets the sentence for all."""


_LONGEST_SENTENCE: Final = 300
"""Characters of what a driver says."""


def sentence_of(error: Exception, password: object) -> str:
    """Return what a driver reported, on one line and without the password."""
    original = getattr(error, "orig", None) or error
    text = " ".join(str(original).split()) or type(original).__name__
    return (text.replace(str(password), "***") if password else text)[:_LONGEST_SENTENCE]


def not_let_in(why: str) -> Finding:
    """Return the finding for what the driver reported."""
    fitting = (code for phrases, code in _REMEDIES if any(one in why for one in phrases))
    code = next(fitting, "database_closed")
    detail = words("doctor.is.database_closed", why=printable(why))
    return Finding(Look.DATABASE, Level.FAIL, detail, words(f"doctor.do.{code}"))
