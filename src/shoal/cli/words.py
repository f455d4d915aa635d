"""The texts of the command line: two languages, states and times for users, and safe output of texts from outside."""

from __future__ import annotations

import os
import unicodedata
from datetime import UTC, datetime
from typing import Any, Final

from rich.text import Text

from shoal.language.catalogue import knows, translate
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
    """Return whether the user's locale is Chinese: ``LC_ALL``, else ``LC_MESSAGES``, else ``LANG``."""
    chosen = next((value for name in ("LC_ALL", "LC_MESSAGES", "LANG") if (value := os.environ.get(name))), "")
    return chosen.lower().startswith("zh")


def language() -> Language:
    """Return the language of the user's locale."""
    return Language.ZH if is_chinese() else Language.EN


def words(key: str, /, **params: Any) -> str:
    """Return a sentence of the catalogue in the user's language."""
    return translate(key, language(), **params)


def word_or(key: str, name: str) -> str:
    """Return a sentence of the catalogue, or the name itself when there is none."""
    return words(key) if knows(key) else printable(name)


def state_word(state: str) -> str:
    """Return a state in the language of the command line."""
    return word_or(f"cli.state.{state}", state)


def state_text(state: str) -> Text:
    """Return a state as a word in its colour."""
    return Text(state_word(state), style=_COLOURS.get(state, ""))


def reason_words(reason: str) -> str:
    """Return the reason of a state, and what to do. A reason without a sentence is shown as it is."""
    if knows(key := f"cli.reason.{reason}"):
        return words(key)
    return word_or(f"retry.{reason}", reason.replace("_", " "))


def ago(moment: str | None, now: datetime | None = None) -> str:
    """Return how long ago an RFC 3339 time was. Empty for no time, and for 1970."""
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
    """Return a text from outside on one line, without characters that move the cursor or turn the direction."""
    return "".join(_shown(character) for character in text)


def _shown(character: str) -> str:
    category = unicodedata.category(character)
    if category in {"Zs", "Zl", "Zp"} or character in "\t\n\r":
        return " "
    return "" if category[0] == "C" else character
