"""``shoal migrate-store``: moves everything from SQLite to PostgreSQL or back, on the machine of the server."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from shoal.cli.words import printable, words
from shoal.config import load_settings
from shoal.errors import ConfigError, StoreError

if TYPE_CHECKING:
    from shoal.maintenance.backup.place import Place
    from shoal.maintenance.store_migration.migrating import Migrated

# The database and its migrations take longer to load than most commands run.
# ruff: noqa: PLC0415


moving = typer.Typer()


@moving.command("migrate-store", help=words("cli.migrate_store.help.migrate_store"))
def migrate_store(
    source: Annotated[str, typer.Argument(metavar="FROM", help=words("cli.migrate_store.help.source"))],
    target: Annotated[str, typer.Argument(metavar="TO", help=words("cli.migrate_store.help.target"))],
    data_dir: Annotated[str | None, typer.Option(help=words("cli.help.data_dir"))] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help=words("cli.migrate_store.help.dry_run"))] = False,
    as_json: Annotated[bool, typer.Option("--json", help=words("cli.help.json"))] = False,
) -> None:
    """Move everything from an SQLite file to PostgreSQL or back, while the server is stopped."""
    from shoal.maintenance.backup.place import Place
    from shoal.maintenance.store_migration.addresses import named_store
    from shoal.maintenance.store_migration.migrating import ALREADY_MOVED, look_at_stores

    settings = load_settings(data_dir=data_dir)
    here = Place(
        data_dir=settings.data_dir,
        url=settings.database_url.get_secret_value() if settings.database_url else "",
        secret_key=settings.secret_key.get_secret_value() if settings.secret_key else None,
    )
    old, new = named_store(source, here), named_store(target, here)
    for place in (old, new):
        _check_lets_in(place)
    if dry_run:
        _print_plan(look_at_stores(old, new), as_json=as_json)
        return
    try:
        done = _moved(old, new)
    except ConfigError as error:
        if error.code != ALREADY_MOVED:
            raise
        done = None
    except StoreError:
        typer.echo(words("cli.migrate_store.stopped"), err=True)
        raise
    _print_result(done, old, new, as_json=as_json)


def _check_lets_in(place: Place) -> None:
    """Raise ``ConfigError`` with what to do when the PostgreSQL of a place does not let us in."""
    from sqlalchemy.exc import SQLAlchemyError

    from shoal.cli.doctor.postgresql import not_let_in, sentence_of
    from shoal.maintenance.backup.place import postgresql_engine

    if place.is_sqlite:
        return
    engine = postgresql_engine(place)
    try:
        engine.connect().close()
    except SQLAlchemyError as error:
        why = sentence_of(error, engine.url.password)
        do = not_let_in(why).do
        raise ConfigError("migrate_store.not_let_in", why=printable(why), do=do, code="not_let_in") from None
    finally:
        engine.dispose()


def _moved(old: Place, new: Place) -> Migrated:
    from shoal.maintenance.store_migration.migrating import COPYING, migrate_store

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        bars = {}

        def show_progress(phase: str, rows: int, total: int) -> None:
            if phase not in bars:
                key = "cli.migrate_store.copying" if phase == COPYING else "cli.migrate_store.comparing"
                bars[phase] = progress.add_task(words(key), total=total)
            progress.advance(bars[phase], rows)

        return migrate_store(old, new, progress=show_progress)


def _print_plan(found: dict[str, int], *, as_json: bool) -> None:
    from shoal.maintenance.store_migration.migrating import PICTURES

    rows = {name: count for name, count in found.items() if name != PICTURES}
    pictures = found[PICTURES]
    if as_json:
        _print({"moved": False, "rows": sum(rows.values()), "pictures": pictures, "tables": rows})
        return
    for name, count in rows.items():
        if count:
            typer.echo(f"{count:>12,}  {name}")
    typer.echo(words("cli.migrate_store.plan", rows=sum(rows.values()), pictures=pictures))


def _print_result(done: Migrated | None, old: Place, new: Place, *, as_json: bool) -> None:
    from shoal.maintenance.store_migration.addresses import setting_of, shown

    setting = setting_of(new)
    if as_json:
        tables = {} if done is None else {
            name: {"rows": rows, "checksum": checksum} for name, (rows, checksum) in done.tables.items()
        }  # fmt: skip
        _print({
            "moved": True, "already": done is None, "rows": done.rows if done else 0, "kept": done.kept if done else 0,
            "pictures": done.pictures if done else 0,
            "tables": tables, "from": shown(old), "to": shown(new), "database_url": setting,
        })  # fmt: skip
        return
    if done is None:
        typer.echo(words("cli.migrate_store.already"))
    else:
        if done.kept:
            typer.echo(words("cli.migrate_store.resumed", rows=done.kept))
        typer.echo(words("cli.migrate_store.moved", rows=done.rows, tables=len(done.tables), pictures=done.pictures))
    typer.echo("\n" + words("cli.migrate_store.next"))
    if setting:
        typer.echo(f"\n    SHOAL_DATABASE_URL={setting}\n")
        if not new.is_sqlite:
            typer.echo(words("cli.migrate_store.password"))
    else:
        typer.echo("\n    " + words("cli.migrate_store.unset") + "\n")
    typer.echo(words("cli.migrate_store.directory", path=new.data_dir))
    typer.echo(words("cli.migrate_store.closed", old=shown(old)))


def _print(facts: dict[str, Any]) -> None:
    typer.echo(json.dumps(facts, ensure_ascii=False))
