"""Times that people type, and times as people read them, by the clock of this machine."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import typer

from shoal.cli.words import words

_AGO = re.compile(r"(\d{1,6})\s*([mhd])")
_UNITS = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1)}


def moment(text: str | None) -> str | None:
    """Return a time in the form of the API: ``2h`` (2 hours ago), ``30m``, ``7d``, or a date with or without a time.

    A time without a zone is this machine's. Raises ``typer.BadParameter``.
    """
    if text is None:
        return None
    if ago := _AGO.fullmatch(text.strip()):
        return (datetime.now(UTC) - int(ago[1]) * _UNITS[ago[2]]).isoformat().replace("+00:00", "Z")
    try:
        return datetime.fromisoformat(text.strip()).astimezone(UTC).isoformat().replace("+00:00", "Z")
    except (ValueError, OverflowError):
        raise typer.BadParameter(words("cli.help.bad_time", text=text)) from None


def local(at: str | None) -> str:
    """Return a time of an answer by this machine's clock; empty for no time."""
    return datetime.fromisoformat(at).astimezone().strftime("%Y-%m-%d %H:%M:%S") if at else ""
