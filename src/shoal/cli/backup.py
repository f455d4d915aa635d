"""``shoal backup …``: on the machine of the server, over no network."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from shoal.cli.backup_secrets import (
    AsJson,
    DataDir,
    KeyFile,
    PassphraseFile,
    asked_twice,
    first_line,
    key_of,
    named,
    secret_of,
    time_of,
    url_of,
)
from shoal.cli.commands.servers import BACKUPS
from shoal.cli.run_rows import add_rows
from shoal.cli.words import words
from shoal.config import load_settings
from shoal.errors import ConfigError

if TYPE_CHECKING:
    from shoal.maintenance.backup.envelope import Header
    from shoal.maintenance.backup.locks import Lock

# The modules of backups load the database and its migrations, which take longer than most commands run.
# ruff: noqa: PLC0415

backup = typer.Typer(no_args_is_help=True, help=words("cli.backup.help.backup"))

File = Annotated[
    Path, typer.Argument(metavar="FILE", help=words("cli.backup.help.file"), parser=named, show_default=False)
]


add_rows(backup, BACKUPS, "cli.backup")


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
    from shoal.maintenance.backup.signing import fingerprint
    from shoal.maintenance.backup.snapshot import check_is_there

    path = _target(target)
    settings = load_settings(data_dir=data_dir)
    check_is_there(settings.data_dir, url_of(settings))  # before anybody thinks of a passphrase
    if public_key is not None:
        public = read_key(public_key, PUBLIC)
    else:
        passphrase = first_line(passphrase_file) if passphrase_file else asked_twice()

    def lock(file_key: bytes) -> Lock:
        return lock_with_passphrase(file_key, passphrase) if public_key is None else lock_to_key(file_key, public)

    made = make_backup(
        settings.data_dir, path, url=url_of(settings), secret_key=key_of(settings), lock=lock, scratch=scratch
    )
    if as_json:
        _print({
            **_shown(made.header), "path": str(made.path), "bytes": made.bytes, "rows": made.rows,
            "pictures": made.pictures, "verified": True,
        })  # fmt: skip
        return
    typer.echo(words("cli.backup.made", path=made.path, mb=_mb(made.bytes), rows=made.rows, pictures=made.pictures))
    typer.echo(words("cli.backup.keep_key" if public_key else "cli.backup.keep_passphrase"))
    typer.echo(words("cli.backup.keep_signer", signer=fingerprint(made.header.signer)))


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

    with opened(file) as sealed:
        header = sealed.header
        file_key = secret_of(header, passphrase_file, key_file, load_settings()).file_key(header)
    loaded = check_whole(file, file_key, scratch=scratch)
    if as_json:
        tables = {name: rows for name, (rows, _) in loaded.tables.items()}
        _print({**_shown(header), "tables": tables, "rows": loaded.rows, "pictures": loaded.files, "verified": True})
        return
    typer.echo(words("cli.backup.verified", rows=loaded.rows, pictures=loaded.files, at=time_of(header.made_at_ms)))


@backup.command("show", help=words("cli.backup.help.show"))
def show(file: File, as_json: AsJson = False) -> None:
    """Show what may be read of a backup without its passphrase: of when and of what it is."""
    from shoal.maintenance.backup.making import opened

    with opened(file) as sealed:
        facts = _shown(sealed.header)
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


def _shown(header: Header) -> dict[str, Any]:
    from shoal.maintenance.backup.locks import PassphraseLock
    from shoal.maintenance.backup.signing import fingerprint

    opens = [
        ("the server's key" if lock.server_key else "passphrase") if isinstance(lock, PassphraseLock) else "private key"
        for lock in header.locks
    ]
    return {
        "made_at": time_of(header.made_at_ms), "version": header.version, "schema": header.schema,
        "database": header.database, "rev": header.rev, "site": header.site, "store": header.store,
        "id": header.id, "opens_with": " or ".join(opens), "signed_by": fingerprint(header.signer),
    }  # fmt: skip


def _mb(size: int) -> str:
    return f"{size / 1_000_000:.1f}"


def _print(facts: dict[str, Any]) -> None:
    typer.echo(json.dumps(facts, ensure_ascii=False))
