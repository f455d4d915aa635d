"""``shoal backup …`` and ``shoal restore``: on the machine of the server, over no network."""

from __future__ import annotations

import json
import shlex
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from shoal.cli.hidden_prompt import ask_hidden
from shoal.cli.questions import sure
from shoal.cli.server_backups import list_backups, make_on_server
from shoal.cli.words import words
from shoal.config import Settings, load_settings
from shoal.errors import ConfigError

if TYPE_CHECKING:
    from shoal.maintenance.backup.envelope import Header
    from shoal.maintenance.backup.locks import Lock
    from shoal.maintenance.backup.making import Secret
    from shoal.maintenance.backup.restoring import Place, Restored

# The modules of backups load the database and its migrations, which take longer than most commands run.
# ruff: noqa: PLC0415

backup = typer.Typer(no_args_is_help=True, help=words("cli.backup.help.backup"))
restoring = typer.Typer()

DataDir = Annotated[str | None, typer.Option("--data-dir", help=words("cli.help.data_dir"))]
AsJson = Annotated[bool, typer.Option("--json", help=words("cli.help.json"))]
PassphraseFile = Annotated[
    Path | None, typer.Option("--passphrase-file", help=words("cli.backup.help.passphrase_file"))
]
KeyFile = Annotated[Path | None, typer.Option("--key-file", help=words("cli.backup.help.key_file"))]


def _named(name: str) -> Path:
    if not name:
        raise typer.BadParameter(words("cli.error.empty_name"))
    return Path(name)


File = Annotated[
    Path, typer.Argument(metavar="FILE", help=words("cli.backup.help.file"), parser=_named, show_default=False)
]


backup.command("list", help=words("cli.backup.help.list"))(list_backups)
backup.command("now", help=words("cli.backup.help.now"))(make_on_server)


@backup.command("make", help=words("cli.backup.help.make"))
def make(
    target: Annotated[str, typer.Argument(metavar="TARGET", help=words("cli.backup.help.target"))] = ".",
    data_dir: DataDir = None,
    passphrase_file: PassphraseFile = None,
    public_key: Annotated[str | None, typer.Option("--to", help=words("cli.backup.help.to"))] = None,
    scratch: Annotated[Path | None, typer.Option(help=words("cli.backup.help.scratch"))] = None,
    as_json: AsJson = False,
) -> None:
    """Make a backup, also while the server runs, and restore it into a scratch database to see that it is whole."""
    from shoal.maintenance.backup.locks import PUBLIC, lock_to_key, lock_with_passphrase, read_key
    from shoal.maintenance.backup.making import make_backup
    from shoal.maintenance.backup.snapshot import check_is_there

    path = _target(target)
    settings = load_settings(data_dir=data_dir)
    check_is_there(settings.data_dir, _url(settings))  # before anybody thinks of a passphrase
    if public_key is not None:
        public = read_key(public_key, PUBLIC)
    else:
        passphrase = _read(passphrase_file) if passphrase_file else _asked_twice()

    def lock(file_key: bytes) -> Lock:
        return lock_with_passphrase(file_key, passphrase) if public_key is None else lock_to_key(file_key, public)

    made = make_backup(
        settings.data_dir, path, url=_url(settings), secret_key=_key(settings), lock=lock, scratch=scratch
    )
    if as_json:
        _print({
            **_shown(made.header), "path": str(made.path), "bytes": made.bytes, "rows": made.rows,
            "pictures": made.pictures, "verified": True,
        })  # fmt: skip
        return
    typer.echo(words("cli.backup.made", path=made.path, mb=_mb(made.bytes), rows=made.rows, pictures=made.pictures))
    typer.echo(words("cli.backup.keep_key" if public_key else "cli.backup.keep_passphrase"))


@backup.command("verify", help=words("cli.backup.help.verify"))
def verify(
    file: File,
    passphrase_file: PassphraseFile = None,
    key_file: KeyFile = None,
    scratch: Annotated[Path | None, typer.Option(help=words("cli.backup.help.scratch"))] = None,
    as_json: AsJson = False,
) -> None:
    """Restore a backup into a scratch database and compare every table with it."""
    from shoal.maintenance.backup.making import check_whole, opened

    with opened(file) as (_, header, _bound):
        file_key = _secret(header, passphrase_file, key_file, load_settings()).file_key(header)
    loaded = check_whole(file, file_key, scratch=scratch)
    if as_json:
        tables = {name: rows for name, (rows, _) in loaded.tables.items()}
        _print({**_shown(header), "tables": tables, "rows": loaded.rows, "pictures": loaded.files, "verified": True})
        return
    typer.echo(words("cli.backup.verified", rows=loaded.rows, pictures=loaded.files, at=_time(header.made_at_ms)))


@backup.command("show", help=words("cli.backup.help.show"))
def show(file: File, as_json: AsJson = False) -> None:
    """Show what may be read of a backup without its passphrase: of when and of what it is."""
    from shoal.maintenance.backup.making import opened

    with opened(file) as (_, header, _bound):
        facts = _shown(header)
    if as_json:
        _print(facts)
        return
    for name, value in facts.items():
        typer.echo(f"{name:>10}  {value}")


@backup.command("keygen", help=words("cli.backup.help.keygen"))
def keygen(
    private_file: Annotated[Path | None, typer.Option("--out", help=words("cli.backup.help.out"))] = None,
    as_json: AsJson = False,
) -> None:
    """Make a key pair. The private key is shown once; only a restore needs it."""
    from shoal.maintenance.backup.locks import new_key_pair

    private, public = new_key_pair()
    if private_file is not None:
        try:
            with private_file.open("x", encoding="ascii") as file:
                private_file.chmod(0o600)
                file.write(private + "\n")
        except OSError as error:
            why = error.strerror or type(error).__name__
            raise ConfigError("backup.key_not_written", why=why, path=private_file, code="key_not_written") from None
    if as_json:
        kept = {"private_key": private} if private_file is None else {"private_key_file": str(private_file)}
        _print({"public_key": public, **kept})
        return
    if private_file is None:
        typer.echo(words("cli.backup.private_key"))
        typer.echo(f"\n    {private}\n")
    else:
        typer.echo(words("cli.backup.private_key_in", path=private_file))
    typer.echo(words("cli.backup.public_key"))
    typer.echo(f"\n    {public}\n")


@restoring.command("restore", help=words("cli.backup.help.restore"))
def restore(  # noqa: PLR0917  each is an option of the command
    file: Annotated[
        Path | None,
        typer.Argument(metavar="FILE", help=words("cli.backup.help.restored_file"), parser=_named, show_default=False),
    ] = None,
    data_dir: DataDir = None,
    back: Annotated[str | None, typer.Option(help=words("cli.backup.help.back"))] = None,
    passphrase_file: PassphraseFile = None,
    key_file: KeyFile = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help=words("cli.help.yes"))] = False,
    as_json: AsJson = False,
) -> None:
    """Restore a backup while the server is stopped. The data that is there is kept aside."""
    from shoal.maintenance.backup.making import opened
    from shoal.maintenance.backup.restoring import Place, check_kept, is_copy, put_back, restore_backup, restore_copy

    if (file is None) is (back is None):
        raise typer.BadParameter(words("cli.backup.file_or_back"))
    settings = load_settings(data_dir=data_dir)
    place = Place(data_dir=settings.data_dir, url=_url(settings), secret_key=_key(settings))
    if back is not None:
        check_kept(back, place)  # before anybody is asked about what is not there
        _ask(yes, place, back)
        done = put_back(back, place)
    elif file is not None and is_copy(file):
        _ask(yes, place, str(file))
        done = restore_copy(file, place)
    elif file is not None:
        with opened(file) as (_, header, _bound):
            secret = _secret(header, passphrase_file, key_file, settings)
            secret.file_key(header)
        _ask(yes, place, f"{file} ({_time(header.made_at_ms)})")
        done = restore_backup(file, place, secret)
    _print_restored(done, place, as_json=as_json)


def _ask(yes: bool, place: Place, name: str) -> None:
    where = place.data_dir if place.is_sqlite else words("cli.backup.postgresql")
    if not yes and not sure(words("cli.backup.question", name=name, where=where)):
        raise typer.Exit(1)


def _print_restored(done: Restored, place: Place, *, as_json: bool) -> None:
    if as_json:
        _print({
            "made_at": _time(done.made_at_ms), "kept": done.kept, "rows": done.rows, "pictures": done.pictures,
            "rev": done.life.rev, "orders_to_check": done.life.orders_to_check,
            "messages_in_doubt": done.life.messages_in_doubt, "users_without_recovery_codes": done.life.without_codes,
        })  # fmt: skip
        return
    typer.echo(words("cli.backup.restored", at=_time(done.made_at_ms)))
    if done.kept:
        typer.echo(words("cli.backup.kept", name=done.kept, where=shlex.quote(str(place.data_dir))))
    if done.life.orders_to_check or done.life.messages_in_doubt:
        counts = {"orders": done.life.orders_to_check, "messages": done.life.messages_in_doubt}
        typer.echo(words("cli.backup.to_check", **counts))
    if done.life.without_codes:
        typer.echo(words("cli.backup.codes_ended", users=done.life.without_codes))
    typer.echo(words("cli.backup.ended"))


def _target(name: str) -> Path:
    """Return where to write a backup: a directory that is there, or a new file with an ending. Raises ``ConfigError``.

    A name without an ending is that of a directory which is missing, or whose disk is not mounted.
    """
    path = Path(name)
    if not name:
        raise ConfigError("backup.target_unnamed", code="target_unnamed")
    if not path.is_dir() and (name.endswith("/") or not path.suffix):
        raise ConfigError("backup.target_missing", path=path, code="target_missing")
    return path


def _secret(header: Header, passphrase_file: Path | None, key_file: Path | None, settings: Settings) -> Secret:
    """Return what opens the file: from the named file, the server's key, or asked for as the header says."""
    from shoal.maintenance.backup.locks import PRIVATE, KeyLock, read_key
    from shoal.maintenance.backup.making import Secret
    from shoal.maintenance.backup.server_key import passphrase_by_server_key

    if key_file is not None:
        return Secret(private_key=read_key(_read(key_file), PRIVATE))
    if passphrase_file is not None:
        return Secret(passphrase=_read(passphrase_file))
    if known := passphrase_by_server_key(header, settings.data_dir, _key(settings)):
        return Secret(passphrase=known)
    if all(isinstance(lock, KeyLock) for lock in header.locks):
        return Secret(private_key=read_key(_asked("cli.backup.ask_key", "backup.wants_key"), PRIVATE))
    return Secret(passphrase=_asked("cli.backup.ask_passphrase", "backup.wants_passphrase"))


def _asked(question: str, otherwise: str) -> str:
    if not sys.stdin.isatty():
        raise ConfigError(otherwise, code="backup_locked")
    try:
        return ask_hidden(words(question))
    except EOFError:
        raise typer.Exit(1) from None


def _asked_twice() -> str:
    first = _asked("cli.backup.ask_new_passphrase", "backup.wants_passphrase")
    if _asked("cli.backup.ask_again", "backup.wants_passphrase") != first:
        raise ConfigError("backup.passphrases_differ", code="passphrases_differ")
    return first


def _read(path: Path) -> str:
    """Return the first line of a file; ``-`` is the standard input. Raises ``ConfigError`` when it is empty."""
    try:
        text = sys.stdin.readline() if str(path) == "-" else path.read_text(encoding="utf-8").partition("\n")[0]
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or type(error).__name__
        raise ConfigError("backup.not_readable", why=why, path=path, code="backup_not_readable") from None
    if not text.strip():
        raise ConfigError("backup.empty_line", path=path, code="empty_line")
    return text.strip()


def _shown(header: Header) -> dict[str, Any]:
    from shoal.maintenance.backup.locks import PassphraseLock

    opens = [
        ("the server's key" if lock.server_key else "passphrase") if isinstance(lock, PassphraseLock) else "private key"
        for lock in header.locks
    ]
    return {
        "made_at": _time(header.made_at_ms), "version": header.version, "schema": header.schema,
        "database": header.database, "rev": header.rev, "site": header.site, "store": header.store,
        "id": header.id, "opens_with": " or ".join(opens),
    }  # fmt: skip


def _url(settings: Settings) -> str:
    return settings.database_url.get_secret_value() if settings.database_url else ""


def _key(settings: Settings) -> str | None:
    return settings.secret_key.get_secret_value() if settings.secret_key else None


def _time(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _mb(size: int) -> str:
    return f"{size / 1_000_000:.1f}"


def _print(facts: dict[str, Any]) -> None:
    typer.echo(json.dumps(facts, ensure_ascii=False))
