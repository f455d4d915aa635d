"""Names a secret where the secret itself must not be shown."""

from __future__ import annotations

import hashlib


def fingerprint(secret: str) -> str:
    """Return the first 8 hex digits of SHA-256: enough to compare, useless to a thief."""
    return hashlib.sha256(secret.encode()).hexdigest()[:8]
