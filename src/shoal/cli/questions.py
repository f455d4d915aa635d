"""Asks for a yes or no before something is done that cannot be undone."""

from __future__ import annotations

import sys

import typer

from shoal.errors import ConfigError


def sure(question: str) -> bool:
    """Ask on the terminal. Without one, raise ``ConfigError`` that names the option ``--yes``."""
    if not sys.stdin.isatty():
        raise ConfigError("cli.error.unasked")
    return typer.confirm(question, err=True)
