"""Texts as every database can store them: without NUL, which PostgreSQL refuses, and without halves of surrogate pairs,
which are no characters."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

UNSTORABLE: Final = re.compile("[\x00\ud800-\udfff]")
"""The characters that no stored text has."""


def storable(text: str) -> str:
    """Return the text without those characters: the same object when it has none, which is found out fast."""
    if "\0" not in text:
        if text.isascii():
            return text
        try:
            text.encode()
        except UnicodeEncodeError:
            return UNSTORABLE.sub("", text)
        return text
    return UNSTORABLE.sub("", text)


def cleaned_texts(values: Mapping[str, Any]) -> dict[str, str]:
    """Return the texts among values that are not as every database can store them, by their names and cleaned."""
    texts = ((name, value, storable(value)) for name, value in values.items() if isinstance(value, str))
    return {name: clean for name, value, clean in texts if clean is not value}
