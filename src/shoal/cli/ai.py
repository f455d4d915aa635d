"""``shoal ai …``: what language models were asked and said, their drafts and costs, over the API."""

from __future__ import annotations

import secrets
from typing import Annotated, Any

import typer

from shoal.cli.ai_tables import run_facts, run_table, usage_table
from shoal.cli.api_client import NoServer
from shoal.cli.arguments import AsJson, Limit, OfAccount
from shoal.cli.output import Row, ask, ask_rows, given, publish
from shoal.cli.session import Url, run, signed_in
from shoal.cli.words import printable, words

ai = typer.Typer(no_args_is_help=True, help=words("ai.help.ai"))

RunId = Annotated[int, typer.Argument(metavar="RUN", help=words("ai.help.run_id"), show_default=False, min=1)]


@ai.command("runs", help=words("ai.help.runs"))
def list_runs(
    *,
    account: OfAccount = None,
    chat: Annotated[str | None, typer.Option(help=words("cli.messages.help.chat"), show_default=False)] = None,
    state: Annotated[str | None, typer.Option(help=words("ai.help.state"), show_default=False)] = None,
    called: Annotated[
        bool | None, typer.Option("--called/--not-called", help=words("ai.help.called"), show_default=False)
    ] = None,
    limit: Limit = 50,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """List the model's runs, newest first."""
    params = given(cid=account, chat_id=chat, state=state, called=called)
    none = words("ai.no_runs")
    ask_rows(url, "ai-runs", table=run_table, none=none, limit=limit, params=params, as_json=as_json, paged_by="before")


@ai.command("run", help=words("ai.help.run"))
def show_run(run_id: RunId, url: Url = None, as_json: AsJson = False) -> None:
    """Show one run with its raw output."""
    ask(url, "GET", "ai-runs", str(run_id), shown=run_facts, as_json=as_json)


@ai.command("approve", help=words("ai.help.approve"))
def approve_draft(
    run_id: RunId,
    text: Annotated[str | None, typer.Option(help=words("ai.help.other_text"), show_default=False)] = None,
    anyway: Annotated[bool, typer.Option("--anyway", help=words("ai.help.anyway"))] = False,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Send a draft, and wait for the site's answer. Exits with 1 unless it was sent."""
    body = {"send_anyway": anyway, **({"text": text} if text is not None else {})}
    run(_approve(url, run_id, body, as_json=as_json))


@ai.command("drop", help=words("ai.help.drop"))
def drop_draft(run_id: RunId, url: Url = None, as_json: AsJson = False) -> None:
    """Drop a draft; nothing is sent."""
    ask(url, "POST", "ai-runs", str(run_id), "drop", shown=_dropped, as_json=as_json)


@ai.command("usage", help=words("ai.help.usage"))
def show_usage(
    account: OfAccount = None,
    days: Annotated[int, typer.Option(min=1, help=words("ai.help.days"))] = 30,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Print what the models used, by day and shop."""
    none = words("ai.no_usage")
    params = given(cid=account, days=days)
    ask_rows(url, "ai-usage", table=usage_table, none=none, params=params, as_json=as_json)


async def _approve(url: str | None, run_id: int, body: Row, *, as_json: bool) -> None:
    key = secrets.token_hex(16)
    path = ("ai-runs", str(run_id), "approve")
    async with signed_in(url) as client:
        try:
            answer: Any = await client.call("POST", *path, body=body, key=key)
        except NoServer:  # with the same key nothing is sent twice
            answer = await client.call("POST", *path, body=body, key=key)
    publish(answer, _sent, as_json=as_json)
    if answer["outcome"] != "sent":
        raise typer.Exit(1)


def _sent(answer: Row) -> str:
    return words(f"cli.chats.outcomes.{answer['outcome']}", reason=printable(answer["reason"]))


def _dropped(_: Row) -> str:
    return words("ai.dropped")
