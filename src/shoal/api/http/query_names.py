"""Refuses a name of the query that a route does not take: one who mistypes ``dry_run`` does not mean the opposite."""

from __future__ import annotations

from collections.abc import Collection
from difflib import get_close_matches
from typing import Final
from urllib.parse import parse_qsl

from shoal.errors import InvalidInput

_LONGEST: Final = 64


def require_names(query: bytes, taken: Collection[str]) -> None:
    """Raise ``InvalidInput`` (``unknown_parameter``) for the first name that is not taken, with the nearest one."""
    sent = parse_qsl(query.decode("latin-1"), keep_blank_values=True)
    name = next((name for name, _ in sent if name not in taken), None)
    if name is not None:
        near = _nearest(name[:_LONGEST], taken)
        raise InvalidInput(
            f"the query has no {name[:_LONGEST]}",
            code="unknown_parameter/near" if near else "unknown_parameter",
            name=name[:_LONGEST],
            near=near,
            taken=sorted(taken) or ["–"],
        )


def _nearest(name: str, taken: Collection[str]) -> str:
    """Return the taken name that is meant; empty when none is like it."""
    folded = {_folded(one): one for one in taken}
    close = get_close_matches(_folded(name), folded, n=1)
    return folded[close[0]] if close else ""


def _folded(name: str) -> str:
    return name.lower().replace("_", "").replace("-", "")
