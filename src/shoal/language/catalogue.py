"""Sentences by key and language: ``translate("retry.unreachable", Language.ZH)``.

A key is the name of a file of the catalogue, a dot, and the path in that file. A placeholder may choose by number:
``{count:order|orders}`` becomes "1 order" or "3 orders". Minutes become hours and minutes by two units after a
colon: ``{minutes::h|min}`` becomes "59 min" or "23 h 59 min". A tuple becomes a list with the comma of the language.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from shoal.language.choice import Language

ROOT = Path(__file__).parent
"""Holds one folder of TOML files for each language."""
_COMMA = {Language.ZH: "、", Language.EN: ", "}


def translate(key: str, language: Language, /, **params: Any) -> str:
    """Returns the sentence with its params filled in; a param that is not given is left empty.

    Raises ``KeyError`` when the catalogue lacks the key.
    """
    return _loaded(language, key.partition(".")[0])[key].format_map(
        _Params({name: _filled(value, language) for name, value in params.items()})
    )


def knows(key: str) -> bool:
    """Whether the catalogue has this key."""
    return key in _loaded(Language.ZH, key.partition(".")[0])


def read_catalogue(folder: Path) -> dict[str, str]:
    """Reads every file of one language into one flat mapping of keys to texts."""
    return {key: text for file in sorted(folder.glob("*.toml")) for key, text in _read(file)}


@cache
def _loaded(language: Language, name: str) -> Mapping[str, str]:
    file = ROOT / language.value / f"{name}.toml"
    return dict(_read(file)) if file.is_file() else {}


def _filled(value: Any, language: Language) -> Any:
    if isinstance(value, tuple):
        return _COMMA[language].join(map(str, value))
    return _Number(value) if type(value) is int else value


def _read(file: Path) -> list[tuple[str, str]]:
    import tomllib  # noqa: PLC0415  with the first sentence: a server starts without one

    with file.open("rb") as opened:
        return list(_flat(file.stem, tomllib.load(opened)))


def _flat(prefix: str, table: Mapping[str, Any]) -> list[tuple[str, str]]:
    rows: list[tuple[str, str]] = []
    for name, value in table.items():
        key = f"{prefix}.{name}"
        rows += _flat(key, value) if isinstance(value, dict) else [(key, value)]
    return rows


class _Params(dict[str, Any]):
    def __missing__(self, key: str) -> str:
        return _Nothing()


class _Nothing(str):
    """A param that is not given, whatever its format is."""

    __slots__ = ()

    def __format__(self, spec: str) -> str:
        return ""


class _Number(int):
    """A number that chooses between the forms of ``{count:order|orders}``."""

    def __format__(self, spec: str) -> str:
        if "|" not in spec:
            return super().__format__(spec)
        one, many = spec.split("|")
        if one.startswith(":"):
            return self._length(one[1:], many)
        return f"{int(self)} {one if self == 1 else many}"

    def _length(self, hour: str, minute: str) -> str:
        hours, minutes = divmod(int(self), 60)
        parts = [f"{hours} {hour}"] if hours else []
        return " ".join(parts + ([f"{minutes} {minute}"] if minutes or not hours else []))


def refusal_words(reason: str, language: Language) -> str:
    """Return why the site refused; a reason without words is shown as it is."""
    code = reason.partition("||")[0]
    return translate(f"refusal.{code}", language) if knows(f"refusal.{code}") else reason
