"""The options of a rule on the command line, and the rule that they describe."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from shoal.cli.api_client import ApiClient
from shoal.cli.words import words

# The reader of hours is loaded with that of Excel files, and only when hours are given.
# ruff: noqa: PLC0415


class MatchName(StrEnum):
    """How a word is searched, as the API names it."""

    CONTAINS = "contains"
    EXACT = "exact"
    WHOLE_WORD = "whole_word"
    REGEX = "regex"


Words = Annotated[list[str] | None, typer.Option("--word", help=words("cli.rules.help.words"), show_default=False)]
Replies = Annotated[list[str] | None, typer.Option("--reply", help=words("cli.rules.help.reply"), show_default=False)]
Pictures = Annotated[
    list[str] | None,
    typer.Option("--picture", metavar="FILE", help=words("cli.rules.help.picture"), show_default=False),
]
Match = Annotated[MatchName, typer.Option(help=words("cli.rules.help.match"))]
AllWords = Annotated[bool | None, typer.Option("--all-words/--any-word", help=words("cli.rules.help.all_words"))]
Items = Annotated[list[str] | None, typer.Option("--item", help=words("cli.rules.help.item"), show_default=False)]
Priority = Annotated[int | None, typer.Option(help=words("cli.rules.help.priority"), show_default=False)]
Hours = Annotated[
    list[str] | None,
    typer.Option("--hours", metavar="HOURS", help=words("cli.rules.help.hours"), show_default=False),
]
Delay = Annotated[str | None, typer.Option(metavar="SECONDS", help=words("cli.rules.help.delay"), show_default=False)]
Cooldown = Annotated[int | None, typer.Option(min=0, help=words("cli.rules.help.cooldown"), show_default=False)]
Active = Annotated[bool | None, typer.Option("--on/--off", help=words("cli.rules.help.active"))]


def rule_body(*, all_words: bool | None, hours: list[str] | None, delay: str | None, **fields: Any) -> dict[str, Any]:
    """Return the fields of a rule that were given. Raises ``typer.BadParameter`` for hours or a delay."""
    body = {name: value for name, value in fields.items() if value not in (None, [])}
    if all_words is not None:
        body["word_mode"] = "all" if all_words else "any"
    if hours:
        from shoal.rules.schedule_text import span_of

        body["schedule"] = [_read(span_of, one, "--hours") for one in hours if one != "always"]
    if delay is not None:
        from shoal.rules.rule_xlsx import delay_of

        body["delay_seconds"] = _read(delay_of, delay, "--delay")
    return body


def _read(read: Callable[[str], Any], text: str, option: str) -> Any:
    try:
        return read(text)
    except ValueError:
        key = "cli.rules.bad_hours" if option == "--hours" else "cli.rules.bad_delay"
        raise typer.BadParameter(words(key), param_hint=option) from None


async def uploaded(client: ApiClient, picture: str) -> str:
    """Return the address of a picture: the one that is given, or that of a file, which is uploaded."""
    if picture.startswith(("http://", "https://")):
        return picture
    file = Path(picture)
    try:
        data = await asyncio.to_thread(file.read_bytes)
    except OSError as error:
        raise typer.BadParameter(
            words("cli.goods.unreadable", path=file, why=error.strerror), param_hint="--picture"
        ) from None
    answer = await client.send_file("pictures", name=file.name, data=data, field="image")
    return str(answer["image_url"])
