"""``ShownOnce``: an answer with secrets that are shown once, and nowhere kept."""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import BaseModel, Field


class ShownOnce(BaseModel):
    """An answer whose ``secrets`` are shown once: the answer that is kept for the same request has them empty."""

    secrets: ClassVar[tuple[str, ...]]
    already_shown: bool = Field(
        default=False,
        description="Whether an earlier answer to the same `Idempotency-Key` had the secret, which is empty here.",
    )


def to_keep(model: Any, body: str) -> str:
    """Return the body of an answer as it may be kept: without what its model shows once."""
    if not (isinstance(model, type) and issubclass(model, ShownOnce)):
        return body
    shown = model.model_validate_json(body)
    empty = {name: type(getattr(shown, name))() for name in model.secrets}
    return shown.model_copy(update={**empty, "already_shown": True}).model_dump_json()
