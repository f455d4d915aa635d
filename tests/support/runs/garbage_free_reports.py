"""A plugin of pytest: no garbage is collected while a failure is reported.

A report parses the source of each frame. Python 3.11 parses with one counter for all: a finalizer that runs in between
and formats a traceback, which parses too, makes the outer call raise ``SystemError`` (AST constructor recursion depth
mismatch), and that ends the whole run. Only a collection can run a finalizer there.
"""

from __future__ import annotations

import gc
from collections.abc import Generator

import pytest


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Make the report without a collection."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        return (yield)
    finally:
        if enabled:
            gc.enable()
