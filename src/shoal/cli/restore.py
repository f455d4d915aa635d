"""``shoal restore``: on the machine of the server, while it is stopped."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from shoal.cli.backup_secrets import AsJson, DataDir, KeyFile, PassphraseFile, key_of, named, secret_of, time_of, url_of
from shoal.cli.run_rows import sure
from shoal.cli.words import ago, printable, words
from shoal.config import Settings, load_settings
from shoal.errors import ConfigError
from shoal.storage.data_directory import UNITS_FILE

if TYPE_CHECKING:
    from shoal.maintenance.backup.place import Origin, Place
    from shoal.maintenance.backup.restoring import Restored

# The modules of backups load the database and its migrations, which take longer than most commands run.
# ruff: noqa: PLC0415

restoring = typer.Typer()

NOBODY = "none"
"""What ``--signed-by`` says of a file that has no signature."""


@restoring.command("restore", help=words("cli.backup.help.restore"))
def restore(  # noqa: PLR0917  each is an option of the command
    file: Annotated[
        Path | None,
        typer.Argument(metavar="FILE", help=words("cli.backup.help.restored_file"), parser=named, show_default=False),
    ] = None,
    data_dir: DataDir = None,
    back: Annotated[str | None, typer.Option(help=words("cli.backup.help.back"))] = None,
    passphrase_file: PassphraseFile = None,
    key_file: KeyFile = None,
    signed_by: Annotated[str | None, typer.Option("--signed-by", help=words("cli.backup.help.signed_by"))] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help=words("cli.help.yes"))] = False,
    as_json: AsJson = False,
) -> None:
    """Restore a backup while the server is stopped. The data that is there is kept aside."""
    from shoal.maintenance.backup.place import Place, is_copy, origin_of_copy
    from shoal.maintenance.backup.restoring import check_kept, put_back, restore_copy

    if (file is None) is (back is None):
        raise typer.BadParameter(words("cli.backup.file_or_back"))
    settings = load_settings(data_dir=data_dir)
    place = Place(data_dir=settings.data_dir, url=url_of(settings), secret_key=key_of(settings))
    if back is not None:
        check_kept(back, place)  # before anybody is asked about what is not there
        _ask(yes, place, back)
        done = put_back(back, place)
    elif file is not None and is_copy(file):
        _look_at_origin(origin_of_copy(file), "", place, signed_by, yes=yes)
        _ask(yes, place, str(file))
        done = restore_copy(file, place)
    elif file is not None:
        done = _restore_backup(file, place, settings, (passphrase_file, key_file), signed_by, yes=yes)
    _print_restored(done, place, as_json=as_json)


def _restore_backup(
    file: Path,
    place: Place,
    settings: Settings,
    secret_files: tuple[Path | None, Path | None],
    signed_by: str | None,
    *,
    yes: bool,
) -> Restored:
    from shoal.maintenance.backup.making import opened
    from shoal.maintenance.backup.place import origin_of
    from shoal.maintenance.backup.restoring import restore_opened

    with opened(file) as sealed:  # once: another file of that name is not what was asked about
        secret, at = secret_of(sealed.header, *secret_files, settings), time_of(sealed.header.made_at_ms)
        secret.file_key(sealed.header)
        _look_at_origin(origin_of(sealed.header), at, place, signed_by, yes=yes, is_ours=secret.is_of_server)
        _ask(yes, place, f"{file} ({at})")
        return restore_opened(sealed, place, secret)


def _look_at_origin(
    offered: Origin, at: str, place: Place, signed_by: str | None, *, yes: bool, is_ours: bool = False
) -> None:
    """Show whose data it is. Raises ``ConfigError`` when another signature was expected.

    With ``yes`` nobody is asked, so what is not certainly of this place must be expected.
    """
    from shoal.maintenance.backup.place import differences, origin_here
    from shoal.maintenance.backup.signing import is_same

    signer = offered.signer or NOBODY
    if signed_by is not None and not is_same(signer, signed_by):
        raise ConfigError("backup.other_signer", signer=signer, expected=printable(signed_by), code="other_signer")
    here = origin_here(place)
    found = differences(offered, here, is_ours=is_ours)
    shown = {"store": offered.store, "site": printable(offered.site), "signer": offered.signer}
    unknown = words("cli.backup.unknown")
    age = f"{at} ({ago(at)})" if at else unknown
    typer.echo(words("cli.backup.origin", at=age, **{name: text or unknown for name, text in shown.items()}), err=True)
    why = [_difference(name, offered, here) for name in found]
    for sentence in why:
        typer.echo(sentence, err=True)
    if why and yes and signed_by is None:
        raise ConfigError("backup.not_of_here", signer=signer, code="backup_not_of_here")


def _difference(name: str, offered: Origin, here: Origin) -> str:
    if name != "signer":
        key = "cli.backup.differs.store" if name == "store" else "cli.backup.differs.site"
        return words(key, here=printable(getattr(here, name)))
    if not offered.signer:
        return words("cli.backup.differs.unsigned")
    return words("cli.backup.differs.signer" if here.signer else "cli.backup.differs.signer_unknown", here=here.signer)


def _ask(yes: bool, place: Place, name: str) -> None:
    where = place.data_dir if place.is_sqlite else words("cli.backup.postgresql")
    if not yes and not sure(words("cli.backup.question", name=name, where=where)):
        raise typer.Exit(1)


def _print_restored(done: Restored, place: Place, *, as_json: bool) -> None:
    if as_json:
        facts = {
            "made_at": time_of(done.made_at_ms), "kept": done.kept, "rows": done.rows, "pictures": done.pictures,
            "rev": done.life.rev, "orders_to_check": done.life.orders_to_check,
            "messages_in_doubt": done.life.messages_in_doubt, "users_without_recovery_codes": done.life.without_codes,
            "goods_to_switch_off": _goods_to_stop(done, place),
        }  # fmt: skip
        typer.echo(json.dumps(facts, ensure_ascii=False))
        return
    where = shlex.quote(str(place.data_dir))
    typer.echo(words("cli.backup.restored", at=time_of(done.made_at_ms)))
    if done.kept:
        typer.echo(words("cli.backup.kept", name=done.kept, where=where))
    if done.life.orders_to_check or done.life.messages_in_doubt:
        counts = {"orders": done.life.orders_to_check, "messages": done.life.messages_in_doubt}
        typer.echo(words("cli.backup.to_check", **counts))
    if done.life.without_codes:
        typer.echo(words("cli.backup.codes_ended", users=done.life.without_codes))
    if stopped := _goods_to_stop(done, place):
        typer.echo(words("cli.backup.goods_stop", goods=stopped, name=UNITS_FILE, where=place.data_dir))
    typer.echo(words("cli.backup.ended", where=where))


def _goods_to_stop(done: Restored, place: Place) -> int:
    """Return how many goods the next start switches off, because nothing says which of their units left."""
    return 0 if (place.data_dir / UNITS_FILE).exists() else done.life.goods_to_stop
