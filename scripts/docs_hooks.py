"""Hooks that MkDocs calls while it builds the help (``hooks`` in ``mkdocs.yml``)."""

from __future__ import annotations

import re

_HAN = "[\u3000-\u303f\u4e00-\u9fff\uff00-\uffef“”‘’—…]"
_BREAK = re.compile(f"({_HAN}(?:</?[^>]+>)*)\n((?:</?[^>]+>)*{_HAN})")
_CODE = re.compile(r"(<pre.*?</pre>)", re.DOTALL)


def on_page_content(html: str, **_: object) -> str:
    """Join lines that break between Chinese characters: a browser would show a space there."""
    parts = _CODE.split(html)
    return "".join(part if part.startswith("<pre") else _BREAK.sub(r"\1\2", part) for part in parts)
