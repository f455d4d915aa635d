"""What opens a backup: read from a file, or typed at a hidden prompt."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from shoal.cli.hidden_prompt import ask_hidden
from shoal.cli.words import words
from shoal.errors import ConfigError

if TYPE_CHECKING:
    from shoal.config import Settings
    from shoal.maintenance.backup.envelope import Header
    from shoal.maintenance.backup.making import Secret

# The modules of backups load the database and its migrations, which take longer than most commands run.
# ruff: noqa: PLC0415

DataDir = Annotated[str | None, typer.Option("--data-dir", help=words("cli.help.data_dir"))]
AsJson = Annotated[bool, typer.Option("--json", help=words("cli.help.json"))]
PassphraseFile = Annotated[
    Path | None, typer.Option("--passphrase-file", help=words("cli.backup.help.passphrase_file"))
]
KeyFile = Annotated[Path | None, typer.Option("--key-file", help=words("cli.backup.help.key_file"))]


def named(name: str) -> Path:
    """Return the path that a user named. Raises ``typer.BadParameter`` for an empty name."""
    if not name:
        raise typer.BadParameter(words("cli.error.empty_name"))
    return Path(name)


def secret_of(header: Header, passphrase_file: Path | None, key_file: Path | None, settings: Settings) -> Secret:
    """Return what opens the file: from the named file, the server's key, or asked for as the header says."""
    from shoal.maintenance.backup.locks import PRIVATE, KeyLock, read_key
    from shoal.maintenance.backup.making import Secret
    from shoal.maintenance.backup.server_key import passphrase_by_server_key

    if key_file is not None:
        return Secret(private_key=read_key(first_line(key_file), PRIVATE))
    known = passphrase_by_server_key(header, settings.data_dir, key_of(settings))
    if passphrase_file is not None:
        passphrase = first_line(passphrase_file)
        return Secret(passphrase=passphrase, is_of_server=passphrase == known)
    if known is not None:
        return Secret(passphrase=known, is_of_server=True)
    if all(isinstance(lock, KeyLock) for lock in header.locks):
        return Secret(private_key=read_key(_asked("cli.backup.ask_key", "backup.wants_key"), PRIVATE))
    return Secret(passphrase=_asked("cli.backup.ask_passphrase", "backup.wants_passphrase"))


def asked_twice() -> str:
    """Return a new passphrase. Raises ``ConfigError``."""
    first = _asked("cli.backup.ask_new_passphrase", "backup.wants_passphrase")
    if _asked("cli.backup.ask_again", "backup.wants_passphrase") != first:
        raise ConfigError("backup.passphrases_differ", code="passphrases_differ")
    return first


def _asked(question: str, otherwise: str) -> str:
    if not sys.stdin.isatty():
        raise ConfigError(otherwise, code="backup_locked")
    try:
        return ask_hidden(words(question))
    except EOFError:
        raise typer.Exit(1) from None


def first_line(path: Path) -> str:
    """Return the first line of a file; ``-`` is the standard input. Raises ``ConfigError`` when it is empty."""
    try:
        text = sys.stdin.readline() if str(path) == "-" else path.read_text(encoding="utf-8").partition("\n")[0]
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or type(error).__name__
        raise ConfigError("backup.not_readable", why=why, path=path, code="backup_not_readable") from None
    if not text.strip():
        raise ConfigError("backup.empty_line", path=path, code="empty_line")
    return text.strip()


def url_of(settings: Settings) -> str:
    """Return the address of the database in the settings; empty for the file of the data directory."""
    return settings.database_url.get_secret_value() if settings.database_url else ""


def key_of(settings: Settings) -> str | None:
    """Return the key in the settings, if any."""
    return settings.secret_key.get_secret_value() if settings.secret_key else None


def time_of(at_ms: int) -> str:
    """Return a time as the API writes it, to the second."""
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
