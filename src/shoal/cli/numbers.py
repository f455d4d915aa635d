"""``shoal accounts numbers|free-number``: sellers that accounts of several users name, for administrators."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from shoal.cli.accounts import accounts
from shoal.cli.arguments import AsJson
from shoal.cli.output import echo
from shoal.cli.run_rows import sure
from shoal.cli.session import Url, run, signed_in
from shoal.cli.words import printable, state_word, words

Number = Annotated[
    str,
    typer.Argument(metavar="NUMBER", help=words("cli.numbers.help.number"), show_default=False),
]


@accounts.command("numbers", help=words("cli.numbers.help.numbers"))
def list_numbers(url: Url = None, _as_json: AsJson = False) -> None:
    """List seller numbers of several users' accounts: the holder of each, and who waits. For administrators."""
    run(_list(url))


@accounts.command("free-number", help=words("cli.numbers.help.free_number"))
def free_number(
    number: Number,
    yes: Annotated[bool, typer.Option("--yes", "-y", help=words("cli.help.yes"))] = False,
    url: Url = None,
    _as_json: AsJson = False,
) -> None:
    """Take a seller's number from the account that holds it, and disable that account. For administrators."""
    run(_free(url, number, yes=yes))


async def _list(url: str | None) -> None:
    async with signed_in(url) as client:
        found = (await client.call("GET", "seller-numbers"))["items"]
    echo(found, "\n".join(_line(row) for row in found) or words("cli.numbers.none"))


def _line(row: dict[str, Any]) -> str:
    holder = _shop(row["holder"]) if row["holder"] else words("cli.numbers.no_holder")
    waiting = ", ".join(_shop(shop) for shop in row["waiting"])
    return words("cli.numbers.line", number=row["number"], holder=holder, waiting=waiting)


def _shop(shop: dict[str, Any]) -> str:
    return f"{printable(shop['account'])} ({printable(shop['owner'])}, {state_word(shop['state'])})"


async def _free(url: str | None, number: str, *, yes: bool) -> None:
    async with signed_in(url) as client:
        listed = (await client.call("GET", "seller-numbers"))["items"]
        holder = next((row["holder"] for row in listed if row["number"] == number), None)
        if holder is not None and not yes:
            question = words("cli.numbers.free_question", number=printable(number), holder=_shop(holder))
            if not sure(question):
                raise typer.Abort
        params = {} if holder is None else {"holder": holder["account"]}
        answer = await client.call("DELETE", "seller-numbers", number, params=params)
    was = printable(answer["was"])
    echo(answer, words("cli.numbers.freed", number=answer["number"], was=was))
