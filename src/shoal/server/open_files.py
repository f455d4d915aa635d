"""Raises the limit of open files and sockets: every account needs one, and a service often has only 1,024."""

from __future__ import annotations

import resource
import sys
from contextlib import suppress

_MACOS_MOST = 10_240
"""``OPEN_MAX`` of macOS, which refuses more although it reports an infinite hard limit."""


def allow_many_open_files() -> int:
    """Raise this process's own limit as far as the system allows without privileges. Return the new limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    for wanted in (hard, _MACOS_MOST):
        if _counted(wanted) > _counted(soft):
            with suppress(ValueError, OSError):
                resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
                return _counted(wanted)
    return _counted(soft)


def _counted(limit: int) -> int:
    return sys.maxsize if limit == resource.RLIM_INFINITY else limit
