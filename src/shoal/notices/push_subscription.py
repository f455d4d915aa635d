"""What a browser gives so that it can be notified by web push: its address at a push service, and its keys."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

from cryptography.hazmat.primitives.asymmetric import ec

from shoal.errors import InvalidInput

HOSTS: Final = frozenset({"fcm.googleapis.com", "updates.push.services.mozilla.com"})
"""The push services of Chrome (and of those that are built on it) and Firefox."""
DOMAINS: Final = (".push.services.mozilla.com", ".push.apple.com", ".notify.windows.com")
"""Those of Firefox, Safari and Edge, which have many hosts."""
_AUTH_BYTES: Final = 16


def is_push_service(endpoint: str) -> bool:
    """Return whether the address is one of a browser's maker, over HTTPS, without a user."""
    try:
        parts = urlsplit(endpoint)
        host = parts.hostname or ""
        named = parts.port is None or parts.port > 0
    except ValueError:
        return False
    known = host in HOSTS or host.endswith(DOMAINS)
    return parts.scheme == "https" and parts.username is None and named and known


def check_subscription(fields: Mapping[str, str]) -> None:
    """Raise ``InvalidInput`` for an address that is of no push service, or for keys that no browser makes."""
    if not is_push_service(fields["endpoint"]):
        raise InvalidInput("this is no push service of a browser", code="push_service_unknown")
    try:
        ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), unpacked(fields["p256dh"]))
        fits = len(unpacked(fields["auth"])) == _AUTH_BYTES
    except (ValueError, binascii.Error):
        fits = False
    if not fits:
        raise InvalidInput("these are no keys of a browser", code="push_keys_unusable")


def unpacked(text: str) -> bytes:
    """Return the bytes of a text in base64url, with or without its end."""
    return base64.urlsafe_b64decode(text.rstrip("=") + "=" * (-len(text.rstrip("=")) % 4))


def packed(raw: bytes) -> str:
    """Return bytes as base64url without its end, as browsers write them."""
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")
