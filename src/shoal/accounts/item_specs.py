"""Which spec of an item is meant where only a value is named, such as ``月卡`` for ``时长:月卡``. Pure."""

from __future__ import annotations

from collections.abc import Iterable


def taken_for(spec: str, specs: Iterable[str]) -> str:
    """Return a spec with each value alone replaced by the property of the item that has this value.

    ``spec`` and ``specs``, those of the item, are folded. A value stays alone when no property has it, or several have.
    """
    if not spec:
        return spec
    properties = {pair for one in specs for pair in one.split(";")}
    found = set()
    for part in spec.split(";"):
        having = [] if part in properties else [one for one in properties if one.partition(":")[2] == part]
        found.add(having[0] if len(having) == 1 else part)
    return ";".join(sorted(found))
