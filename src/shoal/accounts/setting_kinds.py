"""The kinds of settings: which values each takes, and in which form they are stored."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass
from enum import Enum, auto
from typing import Any, Final
from zoneinfo import available_timezones

from shoal.errors import InvalidInput
from shoal.rules.handoff_words import MAX_WORD_CHARACTERS, MAX_WORDS, words_of
from shoal.rules.opening_hours import MAX_HOLIDAYS, MAX_SPANS, holidays_text, opening_hours
from shoal.rules.output_filter import output_filter
from shoal.rules.rule import MAX_REPLY_CHARACTERS
from shoal.xianyu.proxy import parse_proxy

MAX_TEXT_CHARACTERS: Final = 4_000


class Way(Enum):
    """A place where the settings of a shop are read or changed."""

    BODY = auto()
    """``PATCH /cookies/{cid}/settings``, and the options of the shell."""
    BATCH = auto()
    """A change of many shops at once."""
    FILE = auto()
    """The file of shops: export and apply."""
    ANSWER = auto()
    """Every answer about a shop."""


@dataclass(frozen=True, slots=True)
class Setting:
    """A setting of a shop, beside its type and its default: those are its field's."""

    _: KW_ONLY
    help: str = ""
    """The place of the help that explains it; empty: the console's form has no row for it."""
    option: str = ""
    """Its option in the shell, where that is not the name; of a flag with that for no."""
    of_new_shop: Any = None
    """What a shop that is added begins with; ``None``: the default. One that was there before, or comes from another
    system, has the default: nothing that its owner sends stops by itself."""
    out_of: frozenset[Way] = frozenset()
    """Where it is not: by default it is everywhere."""

    def checked(self, value: Any, name: str) -> Any:
        """Return the value in the form that is stored. Raises ``InvalidInput``."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class Flag(Setting):
    """On or off."""

    def checked(self, value: Any, name: str) -> bool:
        """Return the value."""
        if not isinstance(value, bool):
            raise InvalidInput(f"{name} is true or false", code="not_a_flag", field=name)
        return value


@dataclass(frozen=True, slots=True)
class Number(Setting):
    """A number within bounds. ``code`` is that of its refusal."""

    least: int
    most: int
    code: str
    _: KW_ONLY
    kind: type[int] | type[float] = int
    unit: str = ""

    def checked(self, value: Any, name: str) -> int | float:
        """Return the value."""
        kinds = int if self.kind is int else (int, float)
        if isinstance(value, bool) or not isinstance(value, kinds) or not self.least <= value <= self.most:
            bounds = {"low": self.least, "high": self.most, "limit": self.most}
            raise InvalidInput(f"{name} is {self.least} to {self.most}", code=self.code, field=name, **bounds)
        return self.kind(value)


@dataclass(frozen=True, slots=True)
class Line(Setting):
    """A text of at most ``most`` characters. ``form`` returns it as it is stored, or raises ``InvalidInput``."""

    most: int = MAX_TEXT_CHARACTERS
    form: Callable[[str, str], str] | None = None

    def checked(self, value: Any, name: str) -> str:
        """Return the text as it is stored."""
        if not isinstance(value, str) or len(value) > self.most:
            raise InvalidInput(
                f"{name} is a text of at most {self.most} characters", code="text_too_long", limit=self.most
            )
        return self.form(value, name) if self.form is not None else value


class Lines(Line):
    """A text that has one value on each line."""


@dataclass(frozen=True, slots=True)
class Reply(Line):
    """A text for buyers."""

    most: int = MAX_REPLY_CHARACTERS


@dataclass(frozen=True, slots=True)
class Special(Setting):
    """A setting with a check, a field of the console and a command of its own."""

    form: Callable[[Any, str], str]

    def checked(self, value: Any, name: str) -> str:
        """Return the value as its form says."""
        return self.form(value, name)


def hours(text: str, name: str) -> str:
    """Return spans of opening hours."""
    try:
        return str(opening_hours(text, ""))
    except ValueError:
        raise InvalidInput(
            f"{name} are at most {MAX_SPANS} spans such as 1-5 09:00-18:00", code="bad_opening_hours", limit=MAX_SPANS
        ) from None


def holidays(text: str, name: str) -> str:
    """Return days."""
    try:
        return holidays_text(opening_hours("", text))
    except ValueError:
        raise InvalidInput(
            f"{name} are at most {MAX_HOLIDAYS} days such as 2026-10-01 or 2026-10-01/2026-10-07",
            code="bad_holidays",
            limit=MAX_HOLIDAYS,
        ) from None


def handoff_words(text: str, name: str) -> str:
    """Return words, one a line."""
    words = words_of(text)
    if len(words) > MAX_WORDS or any(len(word) > MAX_WORD_CHARACTERS for word in words):
        raise InvalidInput(
            f"{name} are at most {MAX_WORDS} words of {MAX_WORD_CHARACTERS} characters",
            code="bad_handoff_words",
            limit=MAX_WORDS,
            characters=MAX_WORD_CHARACTERS,
        )
    return "\n".join(words)


def patterns(text: str, _name: str) -> str:
    """Return regular expressions, one a line."""
    found = "\n".join(words_of(text))
    output_filter(False, False, found, None)
    return found


def timezone(text: str, name: str) -> str:
    """Return the name of a time zone; empty is the server's."""
    if text and text not in available_timezones():
        raise InvalidInput(f"{name} is a name such as Asia/Shanghai", code="bad_timezone")
    return text


def proxy(value: Any, name: str) -> str:
    """Return the address of a proxy; ``None`` is none."""
    if value is None:
        return ""
    if not isinstance(value, str) or not value:
        raise InvalidInput(f"{name} is an address, or null for none", code="empty_secret", field=name)
    return parse_proxy(value).url
