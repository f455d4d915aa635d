"""The signature of a signed HTTP call (docs/protocol.md §2.1)."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

MTOP_APP_KEY = "34839810"
TOKEN_COOKIE = "_m_h5_tk"  # noqa: S105 - the cookie's name, not its value


def sign(token: str, t: str, data: str) -> str:
    """Return the lowercase hex MD5 that signs ``data``.

    ``t`` is the text of the query parameter (ms), ``data`` the exact text of the form field before URL-encoding,
    ``token`` the result of ``token_of``. The signature covers nothing else of a call.
    """
    signed = f"{token}&{t}&{MTOP_APP_KEY}&{data}".encode()
    return hashlib.md5(signed, usedforsecurity=False).hexdigest()


def token_of(cookies: Mapping[str, str]) -> str:
    """Return the signing token: ``_m_h5_tk`` up to its first underscore, empty when there is none."""
    return cookies.get(TOKEN_COOKIE, "").partition("_")[0]
