"""What this user changed last on each server, so that the next command sees it whichever of several servers it meets.

The revs of answers of the last half minute, in a file beside the sessions. A file that cannot be read or written costs
nothing but that.
"""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import platformdirs

KEPT_SECONDS: Final = 30.0
"""Longer ago no server is behind."""
MOST: Final = 20
"""How many revs a request may name."""


class LastChanges:
    """The revs of one server, by when they were answered."""

    def __init__(self, url: str, path: Path | None = None, *, now: Callable[[], float] = time.time) -> None:
        self.path = path or Path(platformdirs.user_cache_dir("shoal")) / "changes.json"
        self._url = url
        self._now = now
        self._known: dict[str, float] | None = None

    def header(self) -> dict[str, str]:
        """Return the header of a request; none when nothing was changed lately."""
        revs = self._fresh(self._revs())
        return {"Shoal-After": ",".join(revs)} if revs else {}

    def note(self, answer: Any) -> None:
        """Remember the answer to a change. The newest of its revs stands for all: a server gives them in order."""
        found = _revs_of(answer)
        if not found:
            return
        rev = str(max(found))
        revs = self._revs()
        revs.pop(rev, None)
        revs[rev] = self._now()
        self._known = self._fresh(revs)
        with suppress(OSError):
            self._write(self._known)

    def _revs(self) -> dict[str, float]:
        if self._known is None:
            self._known = self._read().get(self._url, {})
        return self._known

    def _fresh(self, revs: dict[str, float]) -> dict[str, float]:
        now = self._now()
        return dict([one for one in revs.items() if now - KEPT_SECONDS < one[1] <= now][-MOST:])

    def _read(self) -> dict[str, dict[str, float]]:
        with suppress(OSError, ValueError):
            servers = json.loads(self.path.read_text(encoding="utf-8"))
            if isinstance(servers, dict):
                return {url: _plain(revs) for url, revs in servers.items()}
        return {}

    def _write(self, revs: dict[str, float]) -> None:
        others = {url: fresh for url, other in self._read().items() if (fresh := self._fresh(other))}
        beside = self.path.with_name(f".{self.path.name}.{secrets.token_hex(4)}")
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            beside.write_text(json.dumps({**others, self._url: revs}), encoding="utf-8")
            beside.replace(self.path)
        finally:
            beside.unlink(missing_ok=True)


def _plain(revs: Any) -> dict[str, float]:
    """Return what is stored of a server, without what is of no use."""
    if not isinstance(revs, dict):
        return {}
    return {rev: at for rev, at in revs.items() if rev.isdecimal() and len(rev) < 19 and isinstance(at, int | float)}


def _revs_of(answer: Any) -> list[int]:
    """Return the revs of an answer, and of the rows in it."""
    if not isinstance(answer, dict):
        return []
    lists = [part for part in answer.values() if isinstance(part, list)]
    rows = [answer, *(row for part in lists for row in part if isinstance(row, dict))]
    return [rev for row in rows if isinstance(rev := row.get("rev"), int) and rev > 0]
