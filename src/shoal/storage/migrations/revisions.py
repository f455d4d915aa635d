"""The steps of this program, and which of them may run while servers of an older version live.

A step from 0027 on says so in its file, by a line ``kind = "additive"`` or ``kind = "closing"``. An additive one adds
what older programs do not know and do not miss. A closing one takes away what only older programs need, so it waits for
the last of them, and this program runs without it. Any other step needs all servers stopped.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from functools import cache
from pathlib import Path
from typing import Final

from shoal.errors import ConfigError

VERSIONS: Final = [Path(__file__).parent / "versions"]
"""Where the steps are; a test adds a directory."""
ADDITIVE: Final = "additive"
CLOSING: Final = "closing"
_KIND: Final = re.compile(rf'^kind = "({ADDITIVE}|{CLOSING})"$', re.MULTILINE)


@cache
def _files() -> dict[str, Path]:
    """Return the files by revision, the oldest first: each is named after its revision."""
    found = [path for directory in VERSIONS for path in directory.glob("[0-9]*.py")]
    return {path.name.partition("_")[0]: path for path in sorted(found, key=lambda path: path.name)}


@cache
def kind_of(revision: str) -> str:
    """Return the kind of a step; empty when it needs all servers stopped."""
    found = _KIND.search(_files()[revision].read_text(encoding="utf-8"))
    return found[1] if found else ""


def newest() -> str:
    """Return the revision of this program's last step."""
    return next(reversed(_files()))


@cache
def enough() -> frozenset[str]:
    """Return the revisions on which this program runs: the newest, and those that only lack closing steps."""
    found = []
    for revision in reversed(_files()):
        found.append(revision)
        if kind_of(revision) != CLOSING:
            break
    return frozenset(found)


def newest_beside(found: str, older: Collection[str]) -> str:
    """Return the revision to which a database may be brought while these servers of an older version live.

    Raises ``ConfigError`` when a step that is needed would disturb them.
    """
    missing = [revision for revision in _files() if revision > found]
    needed = [revision for revision in missing if revision <= min(enough())]
    if any(kind_of(revision) != ADDITIVE for revision in needed):
        raise ConfigError("startup.older_run", names=", ".join(sorted(older)), code="older_run")
    return needed[-1] if needed else found


def forget() -> None:
    """Read the files again at the next question."""
    for cached in (_files, kind_of, enough):
        cached.cache_clear()
