"""``shoal buyers …``: forgetting a buyer, over the API."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from shoal.cli.questions import sure
from shoal.cli.session import Url, run, signed_in
from shoal.cli.words import printable, words

buyers = typer.Typer(no_args_is_help=True, help=words("cli.buyers.help.buyers"))


@buyers.callback()
def _buyers() -> None:
    """Keep ``forget`` a command of its own, also while it is the only one."""


@buyers.command("forget", help=words("cli.buyers.help.forget"))
def forget_buyer(
    buyer_id: Annotated[str, typer.Argument(metavar="BUYER", help=words("cli.buyers.help.id"), show_default=False)],
    everywhere: Annotated[bool, typer.Option("--everywhere", help=words("cli.buyers.help.everywhere"))] = False,
    even_open: Annotated[bool, typer.Option("--even-open", help=words("cli.buyers.help.even_open"))] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help=words("cli.help.yes"))] = False,
    as_json: Annotated[bool, typer.Option("--json", help=words("cli.help.json"))] = False,
    url: Url = None,
) -> None:
    """Erase the messages, the name and the number of a buyer. Orders stay, without a name."""
    if not buyer_id.strip():
        raise typer.BadParameter(words("cli.buyers.empty"), param_hint="BUYER")
    if not yes and not sure(words("cli.buyers.sure", buyer=printable(buyer_id))):
        raise typer.Abort
    params = {"everywhere": str(everywhere).lower(), "even_open": str(even_open).lower()}
    run(_forget(url, buyer_id, params, as_json=as_json))


async def _forget(url: str | None, buyer_id: str, params: dict[str, str], *, as_json: bool) -> None:
    async with signed_in(url) as client:
        found = await client.call("DELETE", "buyers", buyer_id, params=params)
    if as_json:
        typer.echo(json.dumps(found, ensure_ascii=False, indent=2))
    elif not found["accounts"]:
        typer.echo(words("cli.buyers.nothing"))
    else:
        counts = {name: found[name] for name in ("accounts", "chats", "messages", "sendings", "orders")}
        typer.echo(words("cli.buyers.forgotten", **counts))
