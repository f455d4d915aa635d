"""Values sealed as Ydisks-Xianyu-Helper seals them."""

from __future__ import annotations

import base64
import hashlib

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

KEY = "a long and stable key"


def sealed(scope: str, owner: str, text: str) -> str:
    """A value under ``KEY``, for that purpose and owner."""
    nonce = b"0123456789ab"
    cipher = AESGCM(hashlib.sha256(KEY.encode()).digest())
    raw = nonce + cipher.encrypt(nonce, text.encode(), f"{scope}\0{owner}".encode())
    return "enc:v1:" + base64.b64encode(raw).decode().rstrip("=")
