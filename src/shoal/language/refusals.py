"""The site's codes of a refusal, in words."""

from __future__ import annotations

from shoal.language.catalogue import knows, translate
from shoal.language.choice import Language


def refusal_words(reason: str, language: Language) -> str:
    """Return why the site refused; a reason without words is shown as it is."""
    code = reason.partition("||")[0]
    return translate(f"refusal.{code}", language) if knows(f"refusal.{code}") else reason
