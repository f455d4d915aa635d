"""Op ids as they are stored and as their owner knows them: two people may choose the same key."""

from __future__ import annotations

import re
import uuid

from shoal.errors import InvalidInput

_KEY = re.compile(r"[A-Za-z0-9._~-]{1,128}")
_SCOPE = re.compile(r"u\d+:")


def new_op_id(user_id: int, key: str | None) -> str:
    """The id under which a request's change is stored. Raises ``InvalidInput`` for a key that cannot be one."""
    if key is not None and not _KEY.fullmatch(key):
        raise InvalidInput("an Idempotency-Key has 1 to 128 plain characters", code="bad_idempotency_key")
    return stored_op_id(user_id, key or uuid.uuid4().hex)


def stored_op_id(user_id: int, shown: str) -> str:
    """The stored id of one that the person knows."""
    return f"u{user_id}:{shown}"


def shown_op_id(stored: str) -> str:
    """The id as its owner knows it."""
    return _SCOPE.sub("", stored, count=1) if _SCOPE.match(stored) else stored
