"""``shoal chats …``: the chats with buyers, read and answered by hand, over the API."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import typer
from rich.table import Table

from shoal.cli.api_client import ApiClient, NoServer, Refused
from shoal.cli.arguments import AccountId, AsJson, Limit, OfAccount
from shoal.cli.moments import local
from shoal.cli.output import Row, ask, ask_rows, given, publish, rows_of
from shoal.cli.rule_options import uploaded
from shoal.cli.session import Url, run, signed_in
from shoal.cli.tables import rows_table
from shoal.cli.words import ago, printable, words
from shoal.errors import ConfigError

chats = typer.Typer(no_args_is_help=True, help=words("cli.chats.help.chats"))

ChatId = Annotated[str, typer.Argument(metavar="CHAT", help=words("cli.chats.help.chat_id"), show_default=False)]


@chats.command("list", help=words("cli.chats.help.list"))
def list_chats(
    *,
    account: OfAccount = None,
    search: Annotated[str | None, typer.Option(help=words("cli.chats.help.search"), show_default=False)] = None,
    waiting: Annotated[bool, typer.Option("--waiting", help=words("cli.chats.help.waiting"))] = False,
    paused: Annotated[bool, typer.Option("--paused", help=words("cli.chats.help.paused"))] = False,
    limit: Limit = 50,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """List the chats, the most recently active first."""
    params = given(cid=account, q=search, waiting=waiting or None, paused=paused or None)
    none = words("cli.chats.none")
    ask_rows(url, "chats", table=_table, none=none, limit=limit, params=params, as_json=as_json)


@chats.command("read", help=words("cli.chats.help.read"))
def read_chat(
    account_id: AccountId, chat_id: ChatId, limit: Limit = 50, url: Url = None, as_json: AsJson = False
) -> None:
    """Print the newest messages of a chat, the oldest of them first."""
    run(_read(url, account_id, chat_id, limit=limit, as_json=as_json))


@chats.command("send", help=words("cli.chats.help.send"))
def send_message(
    *,
    account_id: AccountId,
    chat_id: ChatId,
    text: Annotated[
        str | None, typer.Argument(metavar="[TEXT]", help=words("cli.chats.help.text"), show_default=False)
    ] = None,
    picture: Annotated[
        str | None, typer.Option(metavar="FILE", help=words("cli.chats.help.picture"), show_default=False)
    ] = None,
    buyer: Annotated[str | None, typer.Option(help=words("cli.chats.help.buyer"), show_default=False)] = None,
    take_over: Annotated[bool, typer.Option("--take-over", help=words("cli.chats.help.take_over"))] = False,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Send a text or a picture to a buyer, and wait for the site's answer. Exits with 1 unless it was sent."""
    if (text is None) == (picture is None):
        raise ConfigError("cli.chats.text_or_picture")
    body = {"chat_id": chat_id, "take_over": take_over, **({"to_user_id": buyer} if buyer else {})}
    run(_send(url, account_id, body, text, picture, as_json=as_json))


@chats.command("pauses", help=words("cli.chats.help.pauses"))
def list_pauses(account_id: AccountId, url: Url = None, as_json: AsJson = False) -> None:
    """List the chats of an account that get no automatic replies now."""
    none = words("cli.chats.none_paused")
    ask_rows(url, "cookies", account_id, "pauses", table=_pause_table, none=none, as_json=as_json)


@chats.command("pause", help=words("cli.chats.help.pause"))
def pause_chat(
    account_id: AccountId,
    chat_id: ChatId,
    minutes: Annotated[
        int | None, typer.Option(min=1, help=words("cli.chats.help.minutes"), show_default=False)
    ] = None,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Stop automatic replies in a chat for some minutes."""
    body = {} if minutes is None else {"minutes": minutes}
    ask(url, "PUT", "cookies", account_id, "chats", chat_id, "pause", body=body, shown=_paused, as_json=as_json)


@chats.command("resume", help=words("cli.chats.help.resume"))
def resume_chat(account_id: AccountId, chat_id: ChatId, url: Url = None, as_json: AsJson = False) -> None:
    """Let a chat get automatic replies again, from the next message on."""
    ask(url, "DELETE", "cookies", account_id, "chats", chat_id, "pause", shown=_resumed, as_json=as_json)


@chats.command("done", help=words("cli.chats.help.done"))
def call_done(account_id: AccountId, chat_id: ChatId, url: Url = None, as_json: AsJson = False) -> None:
    """Call a chat done, until the buyer writes again."""
    _change_work(url, account_id, chat_id, {"status": "done"}, as_json=as_json)


@chats.command("snooze", help=words("cli.chats.help.snooze"))
def snooze_chat(
    *,
    account_id: AccountId,
    chat_id: ChatId,
    minutes: Annotated[int, typer.Option(min=1, max=366 * 24 * 60, help=words("cli.chats.help.minutes"))] = 60,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Put a chat off for some minutes, or until the buyer writes again."""
    until = (datetime.now(UTC) + timedelta(minutes=minutes)).isoformat()
    _change_work(url, account_id, chat_id, {"status": "snoozed", "until": until}, as_json=as_json)


@chats.command("reopen", help=words("cli.chats.help.reopen"))
def reopen_chat(account_id: AccountId, chat_id: ChatId, url: Url = None, as_json: AsJson = False) -> None:
    """Open a chat that is done or was put off."""
    _change_work(url, account_id, chat_id, {"status": "open"}, as_json=as_json)


@chats.command("assign", help=words("cli.chats.help.assign"))
def assign_chat(
    account_id: AccountId,
    chat_id: ChatId,
    user: Annotated[
        str | None, typer.Argument(metavar="[USER]", help=words("cli.chats.help.assignee"), show_default=False)
    ] = None,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Assign a chat to a user; without a user, remove the assignee."""
    _change_work(url, account_id, chat_id, {"assignee": user}, as_json=as_json)


@chats.command("notes", help=words("cli.chats.help.notes"))
def list_notes(account_id: AccountId, chat_id: ChatId, url: Url = None, as_json: AsJson = False) -> None:
    """List the notes about a chat, the oldest first."""
    none = words("cli.chats.no_notes")
    ask_rows(url, "cookies", account_id, "chats", chat_id, "notes", table=_note_table, none=none, as_json=as_json)


@chats.command("note", help=words("cli.chats.help.note"))
def add_note(
    account_id: AccountId,
    chat_id: ChatId,
    text: Annotated[str, typer.Argument(metavar="TEXT", help=words("cli.chats.help.note_text"), show_default=False)],
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Add a note about a chat, which is never sent."""
    path = ("cookies", account_id, "chats", chat_id, "notes")
    ask(url, "POST", *path, body={"text": text}, shown=lambda _: words("cli.chats.noted"), as_json=as_json)


def _change_work(url: str | None, account_id: str, chat_id: str, body: Row, *, as_json: bool) -> None:
    ask(url, "PUT", "cookies", account_id, "chats", chat_id, "work", body=body, shown=_work, as_json=as_json)


def _work(one: Row) -> str:
    until = local(one["snoozed_until"]) if one["snoozed_until"] else ""
    text = words(f"cli.chats.work.{one['status']}", chat=printable(one["chat_id"]), until=until)
    return text if one["assignee"] is None else f"{text} {words('cli.chats.assigned', user=one['assignee'])}"


def _note_table(found: list[Row]) -> Table:
    rows = ((str(one["id"]), local(one["at"]), one["author"], one["text"]) for one in found)
    return rows_table(("id", "at", "user", "text"), rows)


async def _read(url: str | None, account_id: str, chat_id: str, *, limit: int, as_json: bool) -> None:
    async with signed_in(url) as client:
        params = {"cid": account_id, "chat": chat_id}
        found = await rows_of(client, "messages", limit=limit, params=params)
    publish(found[::-1], _lines, as_json=as_json)


async def _send(
    url: str | None, account_id: str, body: Row, text: str | None, picture: str | None, *, as_json: bool
) -> None:
    async with signed_in(url) as client:
        body |= {"text": text} if picture is None else {"image_url": await uploaded(client, picture)}
        try:
            answer = await _sent_once(client, account_id, body)
        except Refused as error:
            if error.code != "unknown_buyer":
                raise
            raise Refused(error.status, error.code, words("cli.chats.unknown_buyer")) from None
    publish(answer, _sent, as_json=as_json)
    if answer["outcome"] != "sent":
        raise typer.Exit(1)


async def _sent_once(client: ApiClient, account_id: str, body: Row) -> Any:
    """Send with a key; when the connection breaks, ask again with the same key, which sends nothing twice."""
    key = secrets.token_hex(16)
    try:
        return await client.call("POST", "cookies", account_id, "send", body=body, key=key)
    except NoServer:
        return await client.call("POST", "cookies", account_id, "send", body=body, key=key)


def _table(found: list[Row]) -> Table:
    rows = (
        (
            one["chat_id"],
            one["account"],
            one["buyer_name"] or one["buyer_id"],
            ago(one["last_at"]),
            _flags(one),
            one["found_text"] or one["last_text"],
        )
        for one in found
    )
    return rows_table(("chat", "shop", "buyer", "updated", "state", "last_text"), rows)


def _flags(one: Row) -> str:
    flags = [words("cli.chats.waits")] if one["waits"] else []
    flags += [words("cli.chats.is_paused")] if one["paused_until"] else []
    return ", ".join(flags)


def _pause_table(found: list[Row]) -> Table:
    rows = ((one["chat_id"], local(one["since"]), local(one["until"]), one["reason"], one["actor"]) for one in found)
    return rows_table(("chat", "since", "until", "reason", "actor"), rows)


def _paused(one: Row) -> str:
    return words("cli.chats.paused", chat=printable(one["chat_id"]), until=local(one["until"]))


def _resumed(answer: Row) -> str:
    return words("cli.chats.resumed" if answer["ended"] else "cli.chats.was_not_paused")


def _sent(answer: Row) -> str:
    return words(f"cli.chats.outcomes.{answer['outcome']}", reason=printable(answer["reason"]))


def _lines(found: list[Row]) -> str:
    if not found:
        return words("cli.messages.none")
    return "\n".join(f"{local(one['at'])}  {_who(one)}: {printable(one['text'])}" for one in found)


def _who(one: Row) -> str:
    if one["direction"] == "in":
        return printable(one["sender_name"] or one["sender_id"])
    return words("cli.chats.by_hand" if one["direction"] == "human" else "cli.chats.by_shoal")
