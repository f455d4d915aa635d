"""What the doctor finds: one finding for each thing that it looks at, with what to do."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from shoal.cli.words import language, printable, words
from shoal.errors import ConfigError

_ENDS = ("; ", "；")
"""Before them a sentence of ``startup.toml`` says what is wrong, after them what to do."""


class Level(StrEnum):
    """How a finding stands. A server with a failure does not start, or does not work."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


class Look(StrEnum):
    """What is looked at."""

    SETTINGS = "settings"
    VERSIONS = "versions"
    DATA_DIR = "data_dir"
    DISK = "disk"
    SERVER = "server"
    DATABASE = "database"
    SCHEMA = "schema"
    BOUND_SITE = "bound_site"
    KEY = "key"
    FILES = "files"
    TIME_ZONE = "time_zone"
    CLOCK = "clock"
    DATABASE_CLOCK = "database_clock"
    OTHER_SERVERS = "other_servers"
    CERTIFICATE = "certificate"
    SITE = "site"
    PROXIES = "proxies"


@dataclass(frozen=True, slots=True)
class Finding:
    """One finding, in the language of the command line. ``do`` is empty when nothing needs to be done."""

    look: Look
    level: Level
    detail: str
    do: str = ""

    def row(self) -> dict[str, str]:
        """Return it as JSON."""
        return {"name": self.look.value, "level": self.level.value, "detail": self.detail, "do": self.do}


def fine(look: Look, code: str, **params: Any) -> Finding:
    """Return a finding that is as it should be."""
    return Finding(look, Level.OK, words(f"doctor.is.{code}", **_plain(params)))


def warning(look: Look, code: str, **params: Any) -> Finding:
    """Return a finding that will be trouble, or may be."""
    return Finding(
        look, Level.WARN, words(f"doctor.is.{code}", **_plain(params)), words(f"doctor.do.{code}", **_plain(params))
    )


def failure(look: Look, code: str, **params: Any) -> Finding:
    """Return a finding that keeps the server from starting, or from working."""
    return Finding(
        look, Level.FAIL, words(f"doctor.is.{code}", **_plain(params)), words(f"doctor.do.{code}", **_plain(params))
    )


def refusal(look: Look, error: ConfigError) -> Finding:
    """Return the reason for which a server would not start."""
    sentence = printable(error.sentence(language()))
    ends = [place for end in _ENDS if (place := sentence.find(end)) > 0]
    if not ends:
        return Finding(look, Level.FAIL, sentence, words("doctor.do.settings"))
    place = min(ends)
    return Finding(look, Level.FAIL, sentence[:place], sentence[place + 1 :].strip())


def _plain(params: dict[str, Any]) -> dict[str, Any]:
    return {name: value if isinstance(value, int) else printable(str(value)) for name, value in params.items()}
