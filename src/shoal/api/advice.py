"""What a finding of a diagnosis, or the problem of an order, means, and what to do about it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from shoal.language.catalogue import knows, translate
from shoal.language.choice import Language


def advice_on(key: str, language: Language, params: Mapping[str, Any]) -> tuple[str, str]:
    """Returns what is so, and what to do about it; the latter is empty when nothing need be done."""
    do = f"{key}.do"
    return translate(f"{key}.detail", language, **params), translate(do, language, **params) if knows(do) else ""
