"""``filled``: a model of an answer, filled from a value that has the same names."""

from __future__ import annotations

from functools import cache
from typing import Any, TypeVar

from pydantic import BaseModel

from shoal.api.schemas.responses import maybe_rfc3339

M = TypeVar("M", bound=BaseModel)


def filled(model: type[M], source: object, /, **values: Any) -> M:
    """Return a model with these values; each other field is what the source has under its name.

    A time like ``read_at`` is made of the source's ``read_at_ms``. Raises ``AttributeError`` for a field that the
    source lacks, also for one with a default: nothing is left out by mistake. Pydantic checks the types.
    """
    kind: Any = type(source)
    for name, its_name in _names(model, kind):
        if name not in values:
            found = getattr(source, its_name)
            values[name] = found if its_name == name else maybe_rfc3339(found)
    return model(**values)


@cache
def _names(model: type[BaseModel], kind: Any) -> list[tuple[str, str]]:
    """Return the fields of a model, each with its name in values of that kind."""
    theirs = {*dir(kind), *getattr(kind, "__annotations__", ())}
    return [(name, f"{name}_ms" if f"{name}_ms" in theirs else name) for name in model.model_fields]
