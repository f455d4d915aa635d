"""``shoal accounts answers|try-filter``: hours, hand-off and output filter of an account, over the API."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from shoal.cli.accounts import accounts
from shoal.cli.arguments import AccountId, AsJson
from shoal.cli.output import Row, ask, saved
from shoal.cli.session import Url
from shoal.cli.words import printable, words
from shoal.errors import ConfigError

_NONE = "none"
"""What is typed for no lowest price."""


@accounts.command("answers", help=words("cli.answers.help.answers"))
def change_answers(
    *,
    account_id: AccountId,
    hours: Annotated[list[str] | None, typer.Option(help=words("cli.answers.help.hours"), show_default=False)] = None,
    holidays: Annotated[str | None, typer.Option(help=words("cli.answers.help.holidays"), show_default=False)] = None,
    away: Annotated[str | None, typer.Option(help=words("cli.answers.help.away"), show_default=False)] = None,
    handoff_word: Annotated[
        list[str] | None, typer.Option(help=words("cli.answers.help.handoff_word"), show_default=False)
    ] = None,
    handoff_reply: Annotated[
        str | None, typer.Option(help=words("cli.answers.help.handoff_reply"), show_default=False)
    ] = None,
    contacts: Annotated[
        bool | None, typer.Option("--filter-contacts/--no-filter-contacts", help=words("cli.answers.help.contacts"))
    ] = None,
    links: Annotated[
        bool | None, typer.Option("--filter-links/--no-filter-links", help=words("cli.answers.help.links"))
    ] = None,
    pattern: Annotated[
        list[str] | None, typer.Option("--filter-pattern", help=words("cli.answers.help.pattern"), show_default=False)
    ] = None,
    price_floor: Annotated[
        str | None, typer.Option(metavar="FEN", help=words("cli.answers.help.price_floor"), show_default=False)
    ] = None,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Change the settings that are given, in one change; the others stay."""
    asked = {
        "opening_hours": _lines(hours), "holidays": holidays, "away_reply": away,
        "handoff_words": _lines(handoff_word), "handoff_reply": handoff_reply, "filter_contacts": contacts,
        "filter_links": links, "filter_patterns": _lines(pattern),
    }  # fmt: skip
    body: dict[str, Any] = {key: value for key, value in asked.items() if value is not None}
    if price_floor is not None:
        body["price_floor_fen"] = _floor(price_floor)
    if not body:
        raise ConfigError("cli.error.nothing_to_change")
    ask(url, "PATCH", "cookies", account_id, "settings", body=body, shown=saved, as_json=as_json)


@accounts.command("try-filter", help=words("cli.answers.help.try_filter"))
def try_filter(
    account_id: AccountId,
    text: Annotated[str, typer.Argument(help=words("cli.answers.help.text"))],
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Say what the output filter finds in a text. Nothing is sent."""
    ask(url, "POST", "cookies", account_id, "filter", "try", body={"text": text}, shown=_found, as_json=as_json)


def _found(answer: Row) -> str:
    found = answer["filtered_words"]
    return words("cli.answers.found", words=printable(" / ".join(found))) if found else words("cli.answers.nothing")


def _lines(given: list[str] | None) -> str | None:
    return None if given is None else "\n".join(given)


def _floor(text: str) -> int | None:
    try:
        return None if text == _NONE else int(text)
    except ValueError:
        raise typer.BadParameter(words("cli.answers.bad_floor", text=text)) from None
