"""The ids of accounts, for completion by the shell."""

from __future__ import annotations

import json
import os
import time
from contextlib import suppress
from pathlib import Path

# Imported only while a shell completes a word.
# ruff: noqa: PLC0415

_KEPT_SECONDS = 30.0
"""A shell asks at each press of the key: what was returned a moment ago is good enough."""
_ASK_SECONDS = 2.0


def account_ids(incomplete: str) -> list[str]:
    """Return the ids of accounts that begin so. It asks no one for a password, and what fails completes nothing."""
    with suppress(Exception):  # a shell that completes a word must not print errors into it
        return [name for name in _names() if name.startswith(incomplete)]
    return []


def _names() -> list[str]:
    import asyncio
    import hashlib

    from shoal.cli.session import asked_url
    from shoal.cli.token_file import TokenFile

    url = asked_url(None)
    token = os.environ.get("SHOAL_TOKEN") or TokenFile().get(url)
    if not token:
        return []
    whose = hashlib.sha256(f"{url} {token}".encode()).hexdigest()
    if (kept := _kept(whose)) is not None:
        return kept
    names = asyncio.run(_ask(url, token))
    _keep(whose, names)
    return names


async def _ask(url: str, token: str) -> list[str]:
    import asyncio

    from shoal.cli.api_client import ApiClient

    async with asyncio.timeout(_ASK_SECONDS), ApiClient(url, token) as client:
        return [str(name) for name in await client.ask("GET /cookies")]


def _file() -> Path:
    import platformdirs

    return Path(platformdirs.user_cache_dir("shoal")) / "account-ids.json"


def _kept(whose: str) -> list[str] | None:
    """Return the ids that were returned a moment ago, at the same server to the same user."""
    with suppress(OSError, ValueError, KeyError, TypeError):
        if 0 <= time.time() - _file().stat().st_mtime < _KEPT_SECONDS:
            kept = json.loads(_file().read_text(encoding="utf-8"))
            return [str(name) for name in kept["ids"]] if kept["whose"] == whose else None
    return None


def _keep(whose: str, names: list[str]) -> None:
    file = _file()
    with suppress(OSError):
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        file.unlink(missing_ok=True)
        handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8") as written:
            json.dump({"whose": whose, "ids": names}, written, ensure_ascii=False)
