"""The words of the shell: its two languages, states and times for people, and texts that cannot harm a terminal."""

from __future__ import annotations

import os
import unicodedata
from datetime import UTC, datetime
from typing import Any, Final

from rich.text import Text

from shoal.language.catalogue import knows, say
from shoal.language.choice import Language

_COLOURS: Final = {
    "stopped": "bright_black",
    "waiting": "cyan",
    "starting": "cyan",
    "running": "green",
    "mute": "yellow",
    "retrying": "yellow",
    "parked": "bold red",
    "stopping": "cyan",
    "elsewhere": "magenta",
}
_STEPS: Final = ((90, 1, "seconds"), (90 * 60, 60, "minutes"), (36 * 3600, 3600, "hours"))


def is_chinese() -> bool:
    """Whether the person's locale is Chinese: ``LC_ALL``, else ``LC_MESSAGES``, else ``LANG``."""
    chosen = next((value for name in ("LC_ALL", "LC_MESSAGES", "LANG") if (value := os.environ.get(name))), "")
    return chosen.lower().startswith("zh")


def language() -> Language:
    """The language of the person's locale."""
    return Language.ZH if is_chinese() else Language.EN


def words(key: str, /, **params: Any) -> str:
    """A sentence of the catalogue in the person's language."""
    return say(key, language(), **params)


def word_or(key: str, name: str) -> str:
    """A word of the catalogue, or the name itself when there is none."""
    return words(key) if knows(key) else printable(name)


def state_word(state: str) -> str:
    """A state as people say it."""
    return word_or(f"cli.state.{state}", state)


def state_text(state: str) -> Text:
    """A state in a word, with its colour."""
    return Text(state_word(state), style=_COLOURS.get(state, ""))


def reason_words(reason: str) -> str:
    """Why an account is as it is, and what to do. Reasons without a sentence are shown as they are."""
    if knows(key := f"cli.reason.{reason}"):
        return words(key)
    return word_or(f"retry.{reason}", reason.replace("_", " "))


def ago(moment: str | None, now: datetime | None = None) -> str:
    """How long ago an RFC 3339 time was. Empty for none, and for the beginning of time."""
    if not moment:
        return ""
    then = datetime.fromisoformat(moment)
    if then.timestamp() <= 0:
        return ""
    seconds = ((now or datetime.now(UTC)) - then).total_seconds()
    if seconds < 3:
        return words("cli.ago.now")
    for limit, unit, name in _STEPS:
        if seconds < limit:
            return words(f"cli.ago.{name}", n=round(seconds / unit))
    return words("cli.ago.days", n=round(seconds / 86_400))


def printable(text: str) -> str:
    """A stranger's text on one line, without anything that moves a cursor or turns the writing direction."""
    return "".join(_shown(character) for character in text)


def _shown(character: str) -> str:
    category = unicodedata.category(character)
    if category in {"Zs", "Zl", "Zp"} or character in "\t\n\r":
        return " "
    return "" if category[0] == "C" else character
