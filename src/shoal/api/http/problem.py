"""One row of the table of errors: its code, its HTTP status, and the params that answers may show."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from shoal.language.catalogue import knows, translate
from shoal.language.choice import Language

SHAPES: Final[Mapping[str, frozenset[str]]] = {
    "missing": frozenset({"missing"}),
    "unknown": frozenset({"extra_forbidden"}),
    "long": frozenset({"string_too_long", "too_long"}),
    "short": frozenset({"string_too_short", "too_short"}),
    "bounds": frozenset({"greater_than", "greater_than_equal", "less_than", "less_than_equal"}),
    "wrong": frozenset(),
}
"""What is wrong with a field, by the kinds of errors of pydantic; all else has the wrong form."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One row. Answers show ``params`` and the refused field; ``codes``: the catalogue of params that are codes."""

    code: str
    status: int
    params: tuple[str, ...] = ()
    codes: str = ""

    def sentence(self, language: Language, params: Mapping[str, Any]) -> str:
        """Return the sentence for the user, with the params filled in."""
        shown = {name: self._text_of(value, language) for name, value in params.items()}
        return translate(f"problems.{self.code}", language, **shown)

    def _text_of(self, value: Any, language: Language) -> Any:
        if isinstance(value, list | tuple):
            return ", ".join(map(str, value))
        if self.codes and isinstance(value, str) and knows(key := f"{self.codes}.{value}"):
            return translate(key, language)
        return value

    def shown(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """Return the params that may leave the server."""
        return {name: value for name, value in params.items() if name in self.params or name == "field"}
