"""How many files and sockets the process may hold open: every account needs one, and a service is often given 1,024."""

from __future__ import annotations

import resource
import sys
from contextlib import suppress

_MACOS_MOST = 10_240
"""``OPEN_MAX`` of macOS, which refuses more although it calls its hard limit infinite."""


def allow_many_open_files() -> int:
    """Raise this process's own limit as far as the system lets it without more rights; returns what holds then."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    for wanted in (hard, _MACOS_MOST):
        if _counted(wanted) > _counted(soft):
            with suppress(ValueError, OSError):
                resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
                return _counted(wanted)
    return _counted(soft)


def _counted(limit: int) -> int:
    return sys.maxsize if limit == resource.RLIM_INFINITY else limit
