"""The prompts of other systems: one for each purpose, which become the persona of a shop. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

SORTS: Final = "classify"
"""The prompt that sorts what buyers say: here nothing is sorted before it is answered."""
_SPOKEN: Final = ("default", "tech", "price")
"""The prompts that say how to answer, in the order in which they become one persona."""


def prompts_of(stored: Any) -> dict[str, str]:
    """Return the prompts by their purpose, of a mapping or its JSON. Another text is the prompt ``default``."""
    if isinstance(stored, str):
        try:
            parsed = json.loads(stored)
        except (ValueError, RecursionError):
            parsed = None
        stored = parsed if isinstance(parsed, dict) else {"default": stored}
    found = stored.items() if isinstance(stored, Mapping) else ()
    return {str(purpose): text.strip() for purpose, text in found if isinstance(text, str) and text.strip()}


def persona_of(prompts: Mapping[str, str]) -> str:
    """Return the prompts that say how to answer as one text, each only once."""
    return "\n\n".join(dict.fromkeys(_in_order(prompts)))


def _in_order(prompts: Mapping[str, str]) -> Iterator[str]:
    yield from (prompts[purpose] for purpose in _SPOKEN if purpose in prompts)
    yield from (text for purpose, text in prompts.items() if purpose not in {*_SPOKEN, SORTS})
