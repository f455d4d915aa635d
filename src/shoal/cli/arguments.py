"""Arguments and options that several commands have."""

from __future__ import annotations

from typing import Annotated

import typer

from shoal.cli.names import account_ids
from shoal.cli.output import remember_json
from shoal.cli.words import words

AccountId = Annotated[
    str,
    typer.Argument(metavar="ACCOUNT", help=words("cli.help.shop_id"), show_default=False, autocompletion=account_ids),
]
OfAccount = Annotated[
    str | None,
    typer.Option(
        "--account",
        metavar="ACCOUNT",
        help=words("cli.help.only_shop"),
        show_default=False,
        autocompletion=account_ids,
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help=words("cli.help.json"), callback=remember_json)]
Yes = Annotated[bool, typer.Option("--yes", "-y", help=words("cli.help.yes"))]
Limit = Annotated[int, typer.Option(min=1, help=words("cli.help.limit"))]
DryRun = Annotated[bool, typer.Option("--dry-run", help=words("cli.help.dry_run"))]
Since = Annotated[str | None, typer.Option(metavar="TIME", help=words("cli.help.since"), show_default=False)]
Until = Annotated[str | None, typer.Option(metavar="TIME", help=words("cli.help.until"), show_default=False)]
