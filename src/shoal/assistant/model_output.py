"""The output of a language model: what it proposes to do with a buyer's question, read strictly from its JSON. Pure."""

from __future__ import annotations

import json
import re
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from shoal.language.storable_texts import UNSTORABLE

LONGEST_RAW: Final = 65_536
"""How many characters of raw output are read at all."""
LONGEST_TEXT: Final = 2_000
"""Longer texts are no output; the rail ``length`` holds back far shorter ones."""
MOST_FACTS: Final = 20
_MOST_FEN: Final = 10**12
_FENCED: Final = re.compile(r"```(?:json)?\s*(\{.*\})\s*```", re.DOTALL)
"""Characters that neither database stores."""


class BadOutput(Exception):
    """The raw output is not what was asked for; ``str`` says why, without a word of it."""


class ModelOutput(BaseModel):
    """What the model proposes: ``text`` for the buyer, the price that it names, and the ids of ``facts`` it used."""

    model_config = ConfigDict(frozen=True, strict=True, extra="ignore", str_strip_whitespace=True)

    action: Literal["reply", "handoff", "silent"]
    text: Annotated[str, Field(max_length=LONGEST_TEXT)] = ""
    offered_fen: Annotated[int, Field(ge=0, le=_MOST_FEN)] | None = None
    facts: Annotated[list[int], Field(max_length=MOST_FACTS)] = Field(default_factory=list)

    @model_validator(mode="after")
    def _require_text(self) -> ModelOutput:
        if self.action == "reply" and not self.text:
            raise ValueError("a reply without a text")
        return self


def read_output(raw: str) -> ModelOutput:
    """Return the output in the raw text, which may stand in one code fence. Raises ``BadOutput``."""
    if len(raw) > LONGEST_RAW:
        raise BadOutput("too long")
    text = raw.strip()
    fenced = _FENCED.fullmatch(text)
    try:
        found = json.loads(fenced[1] if fenced else text, object_pairs_hook=_once, parse_constant=_no_number)
    except (ValueError, RecursionError):
        raise BadOutput("not one JSON object") from None
    try:
        output = ModelOutput.model_validate(found)
    except ValidationError as failure:
        wrong = failure.errors(include_url=False, include_context=False, include_input=False)[0]
        place = ".".join(
            str(part) for part in wrong["loc"] if isinstance(part, int) or part in ModelOutput.model_fields
        )
        raise BadOutput(f"{place or 'object'}: {wrong['type']}") from None
    if UNSTORABLE.search(output.text):
        raise BadOutput("text: characters that cannot be stored")
    return output


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Refuse a name that stands twice: readers differ in which of the two they take."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name stands twice")
    return found


def _no_number(_: str) -> None:
    raise ValueError("not a number of JSON")
