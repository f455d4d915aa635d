"""``shoal chats``, ``messages`` and ``buyers``: chats read and answered by hand, and what was said in all of them."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import typer

from shoal.cli.cells import either, says, since, when
from shoal.cli.moments import local
from shoal.cli.rows import LIMIT, OF_SHOP, SHOP, SINCE, UNTIL, Answer, Given, Row, arg, flag, option, row
from shoal.cli.run_rows import group, listed
from shoal.cli.words import printable, words
from shoal.errors import ConfigError

if TYPE_CHECKING:
    from shoal.cli.api_client import ApiClient

_CHAT = arg("CHAT", "chat", help="cli.chats.help.chat_id")
_OF_CHAT = option("--chat", metavar="CHAT", help="cli.messages.help.chat")


async def asked_once(client: ApiClient, operation: str, body: Mapping[str, Any], **path: str) -> Any:
    """Call with a key; when the connection breaks, call again with the same key, which sends nothing twice."""
    from shoal.cli.api_client import NoServer  # noqa: PLC0415  a help needs no client

    key = secrets.token_hex(16)
    try:
        return await client.ask(operation, body=body, key=key, query=None, **path)
    except NoServer:
        return await client.ask(operation, body=body, key=key, query=None, **path)


def sent(answer: Answer, _: Given) -> str:
    """Return what became of a message, and why."""
    return words(f"cli.chats.outcomes.{answer['outcome']}", reason=printable(answer["reason"]))


async def _send(client: ApiClient, given: Given) -> Any:
    from shoal.cli.api_client import Refused  # noqa: PLC0415  a help needs no client
    from shoal.cli.files import uploaded  # noqa: PLC0415

    text, picture = given["_text"], given["_picture"]
    if (text is None) == (picture is None):
        raise ConfigError("cli.chats.text_or_picture")
    body = {"chat_id": given["chat"], "take_over": bool(given["_take_over"])}
    if given["_buyer"] is not None:
        body["to_user_id"] = given["_buyer"]
    body |= {"text": text} if picture is None else {"image_url": await uploaded(client, picture)}
    try:
        return await asked_once(client, "POST /cookies/{cid}/send", body, cid=given["cid"])
    except Refused as error:
        if error.code != "unknown_buyer":
            raise
        raise Refused(error.status, error.code, words("cli.chats.unknown_buyer")) from None


async def _read(client: ApiClient, given: Given) -> Any:
    query = {"account": given["cid"], "chat": given["chat"], "limit": given["limit"]}
    return (await listed(client, "GET /messages", query))[::-1]


def _lines(found: list[Answer], _: Given) -> str:
    lines = (f"{local(one['at'])}  {_writer(one)}: {printable(one['text'])}" for one in found)
    return "\n".join(lines) or words("cli.messages.none")


def _writer(one: Answer) -> str:
    if one["direction"] == "in":
        return printable(one["sender_name"] or one["sender_id"])
    return words("cli.chats.by_hand" if one["direction"] == "human" else "cli.chats.by_shoal")


def _flags(one: Answer) -> str:
    flags = [words("cli.chats.waits")] if one["waits"] else []
    return ", ".join([*flags, *([words("cli.chats.is_paused")] if one["paused_until"] else [])])


def _work(one: Answer, _: Given) -> str:
    until = local(one["snoozed_until"])
    text = words(f"cli.chats.work.{one['status']}", chat=printable(one["chat_id"]), until=until)
    return text if one["assignee"] is None else f"{text} {words('cli.chats.assigned', user=one['assignee'])}"


def _work_row(name: str, *params: Any, **more: Any) -> Row:
    return row(name, "PUT /cookies/{cid}/chats/{chat}/work", SHOP, _CHAT, *params, shown=_work, **more)


def _from_now(minutes: int) -> str:
    return (datetime.now(UTC) + timedelta(minutes=minutes)).isoformat()


chats = group("chats", (
    row(
        "list", "GET /chats", OF_SHOP, option("--search", "q"), flag("--waiting"), flag("--paused"), LIMIT,
        none="cli.chats.none",
        shown={
            "chat": "chat_id", "shop": "account", "buyer": "buyer_name|buyer_id", "updated": since("last_at"),
            "state": _flags, "last_text": "found_text|last_text",
        },
    ),
    row("read", _read, SHOP, _CHAT, LIMIT, shown=_lines),
    row("send", _send, SHOP, _CHAT, arg("TEXT", "_text", default=None), option("--picture", "_picture",
        metavar="FILE"), option("--buyer", "_buyer"), flag("--take-over", "_take_over"), shown=sent, ok="outcome=sent"),
    row(
        "pauses", "GET /cookies/{cid}/pauses", SHOP, none="cli.chats.none_paused",
        shown={"chat": "chat_id", "since": when("since"), "until": when("until"), "reason": "reason", "actor": "actor"},
    ),
    row("pause", "PUT /cookies/{cid}/chats/{chat}/pause", SHOP, _CHAT, option("--minutes", kind=int, min=1),
        shown=says("cli.chats.paused", chat="chat_id", until=when("until"))),
    row("resume", "DELETE /cookies/{cid}/chats/{chat}/pause", SHOP, _CHAT,
        shown=either("ended", "cli.chats.resumed", "cli.chats.was_not_paused")),
    _work_row("done", body={"status": "done"}),
    _work_row("snooze", option("--minutes", "until", int, 60, min=1, max=366 * 24 * 60, read=_from_now),
              body={"status": "snoozed"}),
    _work_row("reopen", body={"status": "open"}),
    _work_row("assign", arg("USER", "assignee", default=None, help="cli.chats.help.assignee"),
              body={"assignee": None}),
    row("notes", "GET /cookies/{cid}/chats/{chat}/notes", SHOP, _CHAT, none="cli.chats.no_notes",
        shown={"id": "id", "at": when("at"), "user": "author", "text": "text"}),
    row("note", "POST /cookies/{cid}/chats/{chat}/notes", SHOP, _CHAT, arg("TEXT", "text",
        help="cli.chats.help.note_text"), shown="cli.chats.noted"),
))  # fmt: skip

messages = group("messages", (
    row(
        "list", "GET /messages", OF_SHOP, _OF_CHAT, option("--search", "q"),
        option("--direction", kind=("in", "out", "human")),
        flag("--unhandled", "handled", read=lambda _: False), SINCE, UNTIL, LIMIT, none="cli.messages.none",
        shown={
            "at": when("at"), "shop": "account", "chat": "chat_id", "sender": "sender_name|sender_id", "text": "text",
            "decision": "decision",
        },
    ),
    row(
        "sent", "GET /sendings", OF_SHOP, _OF_CHAT, option("--order", metavar="ORDER"), option("--outcome"), LIMIT,
        none="cli.messages.none_sent",
        shown={
            "at": when("at"), "shop": "account", "chat": "chat_id", "text": "text|image_url",
            "outcome": lambda one: " ".join(filter(None, (one["outcome"], one["reason"]))),
        },
    ),
    row("settle", "POST /cookies/{cid}/messages/{message_id}/settle", SHOP, arg("MESSAGE", "message_id",
        help="cli.messages.help.message_id"), shown="cli.messages.settled"),
))  # fmt: skip


def _buyer(typed: str) -> str:
    if not typed.strip():
        raise typer.BadParameter(words("cli.buyers.empty"), param_hint="BUYER")
    return typed


buyers = group("buyers", (
    row("forget", "DELETE /buyers/{buyer_id}", arg("BUYER", "buyer_id", help="cli.buyers.help.id", read=_buyer),
        flag("--everywhere"), flag("--even-open"), confirm="cli.buyers.sure",
        shown=either("accounts", "cli.buyers.forgotten", "cli.buyers.nothing")),
))  # fmt: skip
