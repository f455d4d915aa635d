"""``shoal ai show|set|facts|try|eval``: the language model of one shop, over the API."""

from __future__ import annotations

from typing import Annotated

import typer

from shoal.cli.ai import ai
from shoal.cli.ai_shop_tables import fact_table, settings_facts, tried
from shoal.cli.arguments import AccountId, AsJson
from shoal.cli.output import ask, note, publish, saved
from shoal.cli.session import Url, run
from shoal.cli.words import words
from shoal.errors import ConfigError

_MODES = ("off", "draft", "auto")


@ai.command("show", help=words("ai.help.show"))
def show_settings(account_id: AccountId, url: Url = None, as_json: AsJson = False) -> None:
    """Show the settings of a shop's model, and what it has used today."""
    ask(url, "GET", "cookies", account_id, "ai", shown=settings_facts, as_json=as_json)


@ai.command("set", help=words("ai.help.set"))
def change_settings(
    *,
    account_id: AccountId,
    mode: Annotated[str | None, typer.Option(metavar="MODE", help=words("ai.help.mode"), show_default=False)] = None,
    provider: Annotated[
        int | None, typer.Option(metavar="ID", help=words("ai.help.provider"), show_default=False, min=0)
    ] = None,
    persona: Annotated[str | None, typer.Option(help=words("ai.help.persona"), show_default=False)] = None,
    hours: Annotated[list[str] | None, typer.Option(help=words("ai.help.hours"), show_default=False)] = None,
    turns: Annotated[int | None, typer.Option(help=words("ai.help.turns"), show_default=False)] = None,
    tokens: Annotated[int | None, typer.Option(help=words("ai.help.tokens"), show_default=False)] = None,
    disclosure: Annotated[
        bool | None, typer.Option("--disclosure/--no-disclosure", help=words("ai.help.disclosure"))
    ] = None,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Change the settings that are given, in one change; the others stay."""
    if mode is not None and mode not in _MODES:
        raise typer.BadParameter(words("ai.bad_mode", text=mode), param_hint="--mode")
    asked = {
        "ai_mode": mode, "ai_provider_id": provider, "ai_persona": persona,
        "ai_hours": None if hours is None else "\n".join(hours), "ai_turns_per_chat": turns,
        "ai_tokens_per_day": tokens, "ai_disclosure": disclosure,
    }  # fmt: skip
    body = {key: value for key, value in asked.items() if value is not None}
    if not body:
        raise ConfigError("cli.error.nothing_to_change")
    ask(url, "PUT", "cookies", account_id, "ai", body=body, shown=saved, as_json=as_json)


@ai.command("facts", help=words("ai.help.facts"))
def facts_of_shop(
    account_id: AccountId,
    file: Annotated[
        typer.FileBinaryRead | None, typer.Argument(metavar="[FILE]", help=words("ai.help.facts_file"))
    ] = None,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Print the facts that the model may use; with a file, replace them by those in it."""
    if file is None:
        ask(url, "GET", "cookies", account_id, "ai", shown=fact_table, as_json=as_json)
        return
    from shoal.cli.ai_eval import facts_in  # noqa: PLC0415  only this command needs it

    body = {"ai_facts": facts_in(file.read(), file.name)}
    ask(url, "PUT", "cookies", account_id, "ai", body=body, shown=saved, as_json=as_json)


@ai.command("try", help=words("ai.help.try"))
def try_model(
    account_id: AccountId,
    text: Annotated[str, typer.Argument(help=words("ai.help.text"))],
    item: Annotated[str | None, typer.Option(help=words("ai.help.item"), show_default=False)] = None,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Ask the model as a buyer would, and print what it says and what each rail says to it. Nothing is sent."""
    body = {"text": text, **({"item_id": item} if item else {})}
    ask(url, "POST", "cookies", account_id, "ai", "try", body=body, shown=tried, as_json=as_json)


@ai.command("eval", help=words("ai.help.eval"))
def evaluate_model(
    account_id: AccountId,
    file: Annotated[typer.FileBinaryRead, typer.Argument(metavar="FILE", help=words("ai.help.cases"))],
    runs: Annotated[int, typer.Option("--runs", min=1, max=20, help=words("ai.help.repeats"))] = 1,
    at_once: Annotated[int, typer.Option("--at-once", min=1, max=16, help=words("ai.help.at_once"))] = 4,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Ask the model each case of a file and judge what it says. Exits with 1 when a case fails."""
    from shoal.cli.ai_eval import evaluated, report, verdict  # noqa: PLC0415  only this command needs it

    async def work() -> None:
        found = await evaluated(url, account_id, file.read(), file.name, runs=runs, at_once=at_once)
        publish(found, report, as_json=as_json)
        note(verdict(found), err=True)
        if found["failed"]:
            raise typer.Exit(1)

    run(work())
