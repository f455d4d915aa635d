"""What tests of the command line share: its commands, made once in each language."""

from __future__ import annotations

from functools import cache

import pytest
import typer.main

from shoal.cli.words import language
from shoal.language.choice import Language


@cache
def _made(app: typer.Typer, _: Language) -> object:
    return _make(app)


_make = typer.main.get_command


@pytest.fixture(autouse=True)
def _commands_made_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """To make them all takes 0.1 s of a processor for each call of the command line."""
    monkeypatch.setattr(typer.main, "get_command", lambda app: _made(app, language()))
