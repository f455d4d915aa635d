"""``shoal messages …``: messages of all chats, what was decided about each, and what was sent, over the API."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer
from rich.table import Table

from shoal.cli.arguments import AccountId, AsJson, Limit, OfAccount, Since, Until
from shoal.cli.moments import local, moment
from shoal.cli.output import Row, ask, ask_rows, given
from shoal.cli.session import Url
from shoal.cli.tables import rows_table
from shoal.cli.words import words

messages = typer.Typer(no_args_is_help=True, help=words("cli.messages.help.messages"))

OfChat = Annotated[
    str | None, typer.Option("--chat", metavar="CHAT", help=words("cli.messages.help.chat"), show_default=False)
]


class DirectionName(StrEnum):
    """Who wrote a message, as the API names it."""

    IN = "in"
    OUT = "out"
    HUMAN = "human"


@messages.command("list", help=words("cli.messages.help.list"))
def list_messages(
    *,
    account: OfAccount = None,
    chat: OfChat = None,
    search: Annotated[str | None, typer.Option(help=words("cli.messages.help.search"), show_default=False)] = None,
    direction: Annotated[
        DirectionName | None, typer.Option(help=words("cli.messages.help.direction"), show_default=False)
    ] = None,
    unhandled: Annotated[bool, typer.Option("--unhandled", help=words("cli.messages.help.unhandled"))] = False,
    since: Since = None,
    until: Until = None,
    limit: Limit = 50,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """List messages, newest first, each with the decision about it."""
    params = given(
        cid=account, chat=chat, q=search, direction=direction, handled=False if unhandled else None,
        since=moment(since), until=moment(until),
    )  # fmt: skip
    none = words("cli.messages.none")
    ask_rows(url, "messages", table=_table, none=none, limit=limit, params=params, as_json=as_json)


@messages.command("sent", help=words("cli.messages.help.sent"))
def list_sendings(
    *,
    account: OfAccount = None,
    chat: OfChat = None,
    order: Annotated[
        str | None, typer.Option(metavar="ORDER", help=words("cli.messages.help.order"), show_default=False)
    ] = None,
    outcome: Annotated[str | None, typer.Option(help=words("cli.messages.help.outcome"), show_default=False)] = None,
    limit: Limit = 50,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """List what was sent, newest first, with the site's answer."""
    params = given(cid=account, chat=chat, order=order, outcome=outcome)
    none = words("cli.messages.none_sent")
    ask_rows(url, "sendings", table=_sent_table, none=none, limit=limit, params=params, as_json=as_json)


@messages.command("settle", help=words("cli.messages.help.settle"))
def settle_payment(
    account_id: AccountId,
    message_id: Annotated[
        str, typer.Argument(metavar="MESSAGE", help=words("cli.messages.help.message_id"), show_default=False)
    ],
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Record that you handled a payment that names no order."""
    path = ("cookies", account_id, "messages", message_id, "settle")
    ask(url, "POST", *path, shown=lambda _: words("cli.messages.settled"), as_json=as_json)


def _table(found: list[Row]) -> Table:
    rows = (
        (
            local(one["at"]),
            one["account"],
            one["chat_id"],
            one["sender_name"] or one["sender_id"],
            one["text"],
            one["decision"],
        )
        for one in found
    )
    return rows_table(("at", "shop", "chat", "sender", "text", "decision"), rows)


def _sent_table(found: list[Row]) -> Table:
    rows = (
        (
            local(one["at"]),
            one["account"],
            one["chat_id"],
            one["text"] or one["image_url"],
            " ".join(filter(None, (one["outcome"], one["reason"]))),
        )
        for one in found
    )
    return rows_table(("at", "shop", "chat", "text", "outcome"), rows)
