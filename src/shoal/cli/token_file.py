"""Stores the command line's sessions: one file that only this user can read, one entry per server address."""

from __future__ import annotations

import json
import os
import secrets
from pathlib import Path
from typing import Any

import platformdirs

from shoal.errors import ConfigError


class TokenFile:
    """The tokens by server address, in a file of mode 0600."""

    def __init__(self, path: Path | None = None) -> None:
        self.path = path or Path(platformdirs.user_config_dir("shoal")) / "sessions.json"

    def get(self, url: str) -> str | None:
        """Return the token for a server, if there is one."""
        entry = self._read().get(url)
        token = entry.get("token") if isinstance(entry, dict) else None
        return token if isinstance(token, str) else None

    def urls(self) -> list[str]:
        """Return the addresses of the servers that a sign-in is saved of."""
        return list(self._read())

    def put(self, url: str, *, user: str, token: str) -> None:
        """Store a token; it replaces the one before."""
        self._write({**self._read(), url: {"user": user, "token": token}})

    def drop(self, url: str) -> None:
        """Delete a server's token."""
        entries = self._read()
        if entries.pop(url, None) is not None:
            self._write(entries)

    def _read(self) -> dict[str, Any]:
        try:
            entries = json.loads(self.path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {}
        except (OSError, ValueError):
            raise ConfigError("startup.sessions_unreadable", path=self.path) from None
        return entries if isinstance(entries, dict) else {}

    def _write(self, entries: dict[str, Any]) -> None:
        beside = self.path.with_name(f".{self.path.name}.{secrets.token_hex(4)}")
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                json.dump(entries, file, ensure_ascii=False, indent=2)
            beside.replace(self.path)
        except OSError as error:
            beside.unlink(missing_ok=True)
            raise ConfigError("startup.sessions_unwritable", path=self.path, why=error.strerror) from None
