"""Op ids as they are stored and as their owner knows them.

A request with an Idempotency-Key is stored as ``u1:key#nonce`` (a part of a batch: ``u1:key#nonce:account``) and shown
as ``key``. The user's number keeps people apart who choose the same key, the nonce one use of a key from the next: on
another path, or after the 24 hours. A request without a key is ``u1:`` and a UUID.
"""

from __future__ import annotations

import re
import secrets
import uuid

from shoal.errors import InvalidInput

_KEY = re.compile(r"[A-Za-z0-9._~-]{1,128}")
_STORED = re.compile(r"u\d+:([^#]*)(?:#[0-9a-f]+)?(.*)", re.DOTALL)


def check_key(key: str) -> str:
    """Return an Idempotency-Key unchanged. Raises ``InvalidInput`` for a text that cannot be one."""
    if not _KEY.fullmatch(key):
        raise InvalidInput("an Idempotency-Key has 1 to 128 plain characters", code="bad_idempotency_key")
    return key


def new_op_id(user_id: int, key: str | None = None) -> str:
    """An id that no op has had: for a request with that key, or with none."""
    return stored_op_id(user_id, uuid.uuid4().hex if key is None else f"{key}#{secrets.token_hex(8)}")


def stored_op_id(user_id: int, shown: str) -> str:
    """The stored id of an op without a key, by what its owner knows."""
    return f"u{user_id}:{shown}"


def shown_op_id(stored: str) -> str:
    """The id as its owner knows it."""
    found = _STORED.fullmatch(stored)
    return found[1] + found[2] if found else stored
