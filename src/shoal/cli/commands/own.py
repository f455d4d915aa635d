"""``shoal me …``, ``tokens …`` and ``webhooks …``: what the signed-in user has."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import typer

from shoal.cli.cells import Sentence, either, every, since, word
from shoal.cli.cells import when as at
from shoal.cli.rows import SHOPS, Answer, Given, Row, Shown, arg, option, row
from shoal.cli.run_rows import group
from shoal.cli.words import printable, word_or, words
from shoal.errors import ConfigError

if TYPE_CHECKING:
    from shoal.cli.api_client import ApiClient

# ── me ────────────────────────────────────────────────────────────────────────────────────────────────────────────────


async def _change_password(client: ApiClient, _: Given) -> Any:
    old, new = _passwords()
    return await client.ask("PUT /me/password", body={"current_password": old, "new_password": new})


def _passwords() -> tuple[str, str]:
    """Return the old and the new password: asked for, or two lines of standard input."""
    if sys.stdin.isatty():
        old = typer.prompt(words("cli.me.old_password"), hide_input=True, err=True)
        return old, typer.prompt(words("cli.me.new_password"), hide_input=True, confirmation_prompt=True, err=True)
    lines = [line.rstrip("\r\n") for line in sys.stdin]
    if len(lines) != 2:
        raise ConfigError("cli.me.two_lines")
    return lines[0], lines[1]


_ME: Shown = {
    "user": "username", "role": word("cli.users.roles", "role"), "email": "email",
    "totp": lambda one: words("cli.users.totp_on") if one["has_totp"] else "–",
}  # fmt: skip

me = group("me", (
    row("show", "GET /me", shown=_ME),
    row("password", _change_password, shown="cli.me.changed"),
    row(
        "sessions", "GET /sessions",
        shown={
            "id": "id", "current": lambda one: words("cli.me.this") if one["current"] else "", "client": "user_agent",
            "from": "address", "last_used": since("last_used_at"), "until": at("expires_at"),
        },
    ),
    row("end-session", "DELETE /sessions/{session_id}", arg("SESSION", "session_id", help="cli.me.help.session_id"),
        shown="cli.me.ended"),
    row("end-others", "DELETE /sessions", shown="cli.me.ended_others"),
))  # fmt: skip

# ── tokens ────────────────────────────────────────────────────────────────────────────────────────────────────────────

SCOPES = ("read", "reply", "operate", "manage")

tokens = group("tokens", (
    row(
        "list", "GET /tokens", none="cli.tokens.none",
        shown={
            "cli.tokens.id": "id", "cli.tokens.name": "name", "cli.tokens.scope": word("cli.tokens.scopes", "scope"),
            "cli.tokens.shops": every("accounts", "cli.tokens.all"),
            "cli.tokens.until": lambda one: words("cli.tokens.expired") if one["expired"] else one["expires_at"][:10],
            "cli.tokens.last_used": since("last_used_at", "cli.tokens.never"),
        },
    ),
    row("make", "POST /tokens", arg("NAME", "name"), option("--scope", kind=SCOPES, default="read",
        help="cli.help.permission"), SHOPS.but(help="cli.tokens.help.account"),
        option("--days", "expires_days", int, 90, min=1, max=366), shown=lambda made, _: str(made["token"]),
        first=Sentence("cli.tokens.made", {"day": lambda made: made["expires_at"][:10]})),
    row("revoke", "DELETE /tokens/{token_id}", arg("ID", "token_id", int), shown="cli.tokens.revoked"),
))  # fmt: skip

# ── webhooks ──────────────────────────────────────────────────────────────────────────────────────────────────────────

_KINDS = ("incident", "state", "message", "order", "delivery", "change")
_WEBHOOK = arg("ID", "webhook_id", int)


def _state(one: Answer) -> str:
    working = "failing" if one["tries"] else "on"
    return words(f"cli.webhooks.states.{working if one['active'] else one['off_reason'] or 'off'}")


def _tried(tried: Answer, _: Given) -> str:
    why = tried["error"] and word_or(f"cli.webhooks.errors.{tried['error']}", tried["error"])
    answer = printable(" ".join(str(part) for part in (tried["status"], why, tried["answer"]) if part))
    return words("cli.webhooks.taken" if tried["sent"] else "cli.webhooks.not_taken", answer=answer)


def _switch_row(name: str, *, is_on: bool) -> Row:
    sentence = either("active", "cli.webhooks.switched_on", "cli.webhooks.switched_off")
    return row(name, "PATCH /webhooks/{webhook_id}", _WEBHOOK, body={"active": is_on}, shown=sentence)


webhooks = group("webhooks", (
    row(
        "list", "GET /webhooks", none="cli.webhooks.none",
        shown={
            "cli.webhooks.id": "id", "cli.webhooks.address": lambda one: one["url"] or words("cli.webhooks.unread"),
            "cli.webhooks.kinds": every("kinds", "cli.webhooks.all"),
            "cli.webhooks.shops": every("accounts", "cli.webhooks.all"), "cli.webhooks.state": _state,
            "cli.webhooks.arrived": since("arrived_at", "cli.webhooks.never"),
        },
    ),
    row("add", "POST /webhooks", arg("ADDRESS", "url"), option("--kind", "kinds", [*_KINDS]),
        SHOPS.but(help="cli.webhooks.help.account"), first="cli.webhooks.made",
        shown=lambda made, _: str(made["secret"])),
    row("test", "POST /webhooks/{webhook_id}/test", _WEBHOOK, shown=_tried, ok="sent"),
    row(
        "attempts", "GET /webhooks/{webhook_id}/attempts", _WEBHOOK,
        shown={
            "cli.webhooks.at": since("at"), "cli.webhooks.event": "event", "cli.webhooks.type": "type",
            "cli.webhooks.status": "status|error", "cli.webhooks.ms": "took_ms", "cli.webhooks.answer": "answer",
        },
    ),
    row("replay", "POST /webhooks/{webhook_id}/replay", _WEBHOOK, arg("EVENT", "from_event"),
        shown="cli.webhooks.replayed"),
    _switch_row("on", is_on=True),
    _switch_row("off", is_on=False),
    row("remove", "DELETE /webhooks/{webhook_id}", _WEBHOOK, shown="cli.webhooks.removed"),
))  # fmt: skip
