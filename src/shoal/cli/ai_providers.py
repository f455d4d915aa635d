"""``shoal ai providers …``: who answers buyers' questions for the signed-in user's shops, over the API."""

from __future__ import annotations

import json
import sys
from typing import Annotated, Any

import typer
from rich import box
from rich.table import Table
from rich.text import Text

from shoal.cli.ai import ai
from shoal.cli.arguments import AsJson
from shoal.cli.output import echo, note
from shoal.cli.session import Url, run, signed_in
from shoal.cli.tables import wide_console
from shoal.cli.words import printable, word_or, words

providers = typer.Typer(no_args_is_help=True, help=words("ai_providers.help.providers"))
ai.add_typer(providers, name="providers")

Id = Annotated[int, typer.Argument(metavar="ID", help=words("ai_providers.help.id"))]
Name = Annotated[str | None, typer.Option(help=words("ai_providers.help.name"), show_default=False)]
Address = Annotated[str | None, typer.Option("--address", help=words("ai_providers.help.address"), show_default=False)]
Key = Annotated[
    str | None, typer.Option(envvar="SHOAL_PROVIDER_KEY", help=words("ai_providers.help.key"), show_default=False)
]
Model = Annotated[str | None, typer.Option(help=words("ai_providers.help.model"), show_default=False)]
PriceIn = Annotated[int | None, typer.Option(min=0, help=words("ai_providers.help.price_in"), show_default=False)]
PriceOut = Annotated[int | None, typer.Option(min=0, help=words("ai_providers.help.price_out"), show_default=False)]
PerDay = Annotated[int | None, typer.Option(min=0, help=words("ai_providers.help.fen_per_day"), show_default=False)]
PerMinute = Annotated[int | None, typer.Option(min=1, help=words("ai_providers.help.per_minute"), show_default=False)]
Agree = Annotated[str | None, typer.Option(metavar="HOST", help=words("ai_providers.help.agree"), show_default=False)]


@providers.command("list", help=words("ai_providers.help.list"))
def list_providers(url: Url = None, as_json: AsJson = False) -> None:
    """List your providers."""
    run(_list(url, as_json=as_json))


@providers.command("add", help=words("ai_providers.help.add"))
def add_provider(
    name: Annotated[str, typer.Argument(metavar="NAME", help=words("ai_providers.help.name"))],
    address: Annotated[str, typer.Argument(metavar="ADDRESS", help=words("ai_providers.help.address"))],
    *,
    agent: Annotated[bool, typer.Option("--agent", help=words("ai_providers.help.agent"))] = False,
    key: Key = None,
    model: Model = None,
    price_in: PriceIn = None,
    price_out: PriceOut = None,
    fen_per_day: PerDay = None,
    calls_per_minute: PerMinute = None,
    agree: Agree = None,
    url: Url = None,
    _as_json: AsJson = False,
) -> None:
    """Add a provider. Nothing is sent to it by that."""
    more = _values(None, None, key, model, price_in, price_out, fen_per_day, calls_per_minute, agree)
    kind = "agent" if agent else "openai"
    run(_add(url, {"name": name, "base_url": address, "kind": kind, **more}))


@providers.command("change", help=words("ai_providers.help.change"))
def change_provider(
    provider_id: Id,
    *,
    name: Name = None,
    address: Address = None,
    key: Key = None,
    model: Model = None,
    price_in: PriceIn = None,
    price_out: PriceOut = None,
    fen_per_day: PerDay = None,
    no_limit: Annotated[bool, typer.Option("--no-limit", help=words("ai_providers.help.no_limit"))] = False,
    calls_per_minute: PerMinute = None,
    url: Url = None,
    _as_json: AsJson = False,
) -> None:
    """Change a provider; what is left out stays."""
    body = _values(name, address, key, model, price_in, price_out, fen_per_day, calls_per_minute, None)
    run(_change(url, provider_id, {**body, **({"fen_per_day": None} if no_limit else {})}))


@providers.command("agree", help=words("ai_providers.help.agree_command"))
def agree_to_host(
    provider_id: Id,
    host: Annotated[str, typer.Argument(metavar="HOST", help=words("ai_providers.help.agree"))],
    url: Url = None,
    _as_json: AsJson = False,
) -> None:
    """Agree that buyers' questions go to the provider's host."""
    run(_change(url, provider_id, {"consented_host": host}))


@providers.command("disagree", help=words("ai_providers.help.disagree"))
def end_agreement(provider_id: Id, url: Url = None, _as_json: AsJson = False) -> None:
    """Send nothing to a provider any more."""
    run(_change(url, provider_id, {"consented_host": ""}))


@providers.command("check", help=words("ai_providers.help.check"))
def check_provider(provider_id: Id, url: Url = None, _as_json: AsJson = False) -> None:
    """Ask a provider one invented question, and show what comes back."""
    run(_check(url, provider_id))


@providers.command("remove", help=words("ai_providers.help.remove"))
def remove_provider(provider_id: Id, url: Url = None, _as_json: AsJson = False) -> None:
    """Remove a provider."""
    run(_remove(url, provider_id))


_FIELDS = (
    "name", "base_url", "key", "model", "price_in_fen", "price_out_fen", "fen_per_day", "calls_per_minute",
    "consented_host",
)  # fmt: skip


def _values(*values: str | int | None) -> dict[str, Any]:
    return {name: value for name, value in zip(_FIELDS, values, strict=True) if value is not None}


async def _list(url: str | None, *, as_json: bool) -> None:
    async with signed_in(url) as client:
        found = (await client.call("GET", "ai-providers"))["items"]
    if as_json:
        typer.echo(json.dumps(found, ensure_ascii=False, indent=2))
    elif not found:
        typer.echo(words("ai_providers.none"))
    else:
        table = Table(box=box.SIMPLE_HEAD if sys.stdout.isatty() else None, pad_edge=False, show_edge=False)
        for heading in (
            words("ai_providers.id"), words("ai_providers.name"), words("ai_providers.host"),
            words("ai_providers.model"), words("ai_providers.today"), words("ai_providers.state"),
        ):  # fmt: skip
            table.add_column(heading, overflow="fold")
        for one in found:
            table.add_row(*_row(one))
        wide_console().print(table)


def _row(one: dict[str, Any]) -> list[str | Text]:
    yuan = f"{one['cost_today_microfen'] / 100_000_000:.2f}"
    limit = "" if one["fen_per_day"] is None else f" / {one['fen_per_day'] / 100:.2f}"
    if one["consented_host"] != one["host"]:
        state = words("ai_providers.not_agreed")
    elif one["resting_until"]:
        state = words("ai_providers.rests", until=one["resting_until"], why=_reason(one["last_error"]))
    else:
        state = words("ai_providers.ready")
    return [
        str(one["id"]),
        Text(printable(one["name"]), style="bold"),
        Text(printable(one["host"])),
        Text(printable(one["model"]) or one["kind"]),
        f"¥{yuan}{limit}",
        Text(state),
    ]


def _reason(why: str) -> str:
    word, _, status = why.partition(" ")
    known = word_or(f"incident.model.{word}", printable(word))
    return f"{known} ({status})" if status else known


async def _add(url: str | None, body: dict[str, Any]) -> None:
    async with signed_in(url) as client:
        made = await client.call("POST", "ai-providers", body=body)
    echo(made, words("ai_providers.added", id=made["id"]))
    _note_missing_consent(made)


async def _change(url: str | None, provider_id: int, body: dict[str, Any]) -> None:
    async with signed_in(url) as client:
        after = await client.call("PUT", "ai-providers", str(provider_id), body=body)
    echo(after, words("ai_providers.changed"))
    _note_missing_consent(after)


def _note_missing_consent(provider: dict[str, Any]) -> None:
    if provider["consented_host"] != provider["host"]:
        note(words("ai_providers.agree_first", id=provider["id"], host=printable(provider["host"])), err=True)


async def _check(url: str | None, provider_id: int) -> None:
    async with signed_in(url) as client:
        found = await client.call("POST", "ai-providers", str(provider_id), "check")
    if found["ok"]:
        spent = {"tokens_in": found["tokens_in"], "tokens_out": found["tokens_out"], "ms": found["duration_ms"]}
        echo(found, f"{printable(found['text'])}\n{words('ai_providers.answered', **spent)}")
        return
    why = words("ai_providers.unreadable") if found["why"] == "unreadable" else _reason(found["why"])
    if found["why"] == "pace":
        why = words("ai_providers.pace")
    echo(found, words("ai_providers.failed", why=why, text=printable(found["text"])).rstrip())
    raise typer.Exit(1)


async def _remove(url: str | None, provider_id: int) -> None:
    async with signed_in(url) as client:
        gone = await client.call("DELETE", "ai-providers", str(provider_id))
    echo(gone, words("ai_providers.removed"))
