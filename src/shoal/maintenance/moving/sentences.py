"""What is said about a row that was not simply taken."""

from __future__ import annotations

from shoal.language.catalogue import knows, say
from shoal.language.choice import Language
from shoal.maintenance.moving.old_shop import Oddity


def oddity_sentence(odd: Oddity, language: Language) -> str:
    """Return the sentence of an oddity. ``problem`` among its params is the code of an error, whose sentence is part
    of it."""
    params = dict(odd.params)
    problem = params.pop("problem", "")
    if problem:
        key = f"problems.{problem}"
        params["why"] = say(key, language, **odd.params) if knows(key) else problem
    return say(f"moving.odd.{odd.code}", language, **params)
