"""Op ids as stored and as shown to their owner.

A request with an Idempotency-Key is stored as ``u1:key#nonce`` (one account of a batch: ``u1:key#nonce:account``) and
shown as ``key``. The user's id separates users who choose the same key. The nonce separates uses of the same key: on
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
    """Return an Idempotency-Key unchanged. Raise ``InvalidInput`` for an invalid one."""
    if not _KEY.fullmatch(key):
        raise InvalidInput("an Idempotency-Key has 1 to 128 plain characters", code="bad_idempotency_key")
    return key


def new_op_id(user_id: int, key: str | None = None) -> str:
    """Return a new, unique op id, for a request with that key or without one."""
    return stored_op_id(user_id, uuid.uuid4().hex if key is None else f"{key}#{secrets.token_hex(8)}")


def stored_op_id(user_id: int, shown: str) -> str:
    """Return the stored id of an op without a key, from the id that its owner sees."""
    return f"u{user_id}:{shown}"


def shown_op_id(stored: str) -> str:
    """Return the id as its owner sees it."""
    found = _STORED.fullmatch(stored)
    return found[1] + found[2] if found else stored
