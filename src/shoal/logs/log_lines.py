"""The newest lines of the process's log, for the API: bounded, in memory, with secrets already removed."""

from __future__ import annotations

import re
import time
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final
from urllib.parse import unquote

import msgspec

MOST_LINES: Final = 2_000
MAX_CHARACTERS: Final = 2_000
_BETWEEN_WORDS: Final = re.compile(r"[\s/=,:;&?'\"()\[\]{}<>|]+")
_NOT_SHOWN: Final = frozenset({"event", "level", "logger", "timestamp", "exception", "stack"})


class LogLine(msgspec.Struct, frozen=True):
    """One line. ``accounts``: the accounts it names; ``function`` and ``line``: the code that wrote it."""

    at_ms: int
    level: str
    source: str
    function: str
    line: int
    message: str
    accounts: frozenset[str]


class LogLines:
    """Keeps the newest lines. Any thread may add one."""

    def __init__(self, most: int = MOST_LINES) -> None:
        self._lines: deque[LogLine] = deque(maxlen=most)

    def keep(self, event: Mapping[str, Any], *, function: str, line: int) -> None:
        """Keep an event; its secrets must already be removed."""
        message = " ".join(
            [str(event.get("event", "")), *(f"{name}={event[name]}" for name in sorted(event.keys() - _NOT_SHOWN))]
        )
        self._lines.append(
            LogLine(
                at_ms=int(time.time() * 1000),
                level=str(event.get("level", "")),
                source=str(event.get("logger", "")),
                function=function,
                line=line,
                message=message[:MAX_CHARACTERS],
                accounts=_accounts(event),
            )
        )

    def __iter__(self) -> Iterator[LogLine]:
        """Iterate over the current lines, oldest first."""
        return iter(list(self._lines))

    def clear(self) -> None:
        """Delete every line."""
        self._lines.clear()


def _accounts(event: Mapping[str, Any]) -> frozenset[str]:
    """Return the accounts that an event names: by ``account``, or several by ``accounts``."""
    one, several = event.get("account"), event.get("accounts")
    named = [*(several if isinstance(several, list | tuple) else []), *([one] if one else [])]
    return frozenset(name for name in named if isinstance(name, str))


class Named:
    """Names to look for in texts as whole words, also where a URL has them percent-encoded."""

    def __init__(self, names: Iterable[str]) -> None:
        found = frozenset(names)
        self._of_several_words = [name for name in found if _BETWEEN_WORDS.search(name)]
        self._words = found.difference(self._of_several_words)

    def are_in(self, text: str) -> bool:
        """Return whether the text contains any of the names."""
        for form in {text, unquote(text)}:
            if not self._words.isdisjoint(_BETWEEN_WORDS.split(form)):
                return True
            if any(name in form for name in self._of_several_words):
                return True
        return False


NEWEST: Final = LogLines()
"""The lines of this process, which has one log."""
