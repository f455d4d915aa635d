"""A store on a file whose commits fail where a test says."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from shoal.storage.database import Database
from shoal.storage.db_manager import DBManager
from support.databases.failing_commits import Faults, opened


@pytest.fixture
def faults() -> Faults:
    return Faults()


@pytest.fixture
async def store(tmp_path: Path, faults: Faults) -> AsyncIterator[DBManager]:
    async with opened(tmp_path, faults) as (_, manager):
        yield manager


@pytest.fixture
async def database(tmp_path: Path, faults: Faults) -> AsyncIterator[Database]:
    async with opened(tmp_path, faults) as (database, _):
        yield database
