"""Some tests of the contract at two servers on one PostgreSQL, as they are; ``prove_contract.py`` runs all of them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from api.test_compat import test_adding_renewing_switching_and_removing  # noqa: F401  (tests, at the door below)
from api.test_rule_order import (  # noqa: F401
    test_an_order_asks_the_rules_in_that_order_and_every_list_shows_it,
    test_an_order_names_every_rule_once_and_heeds_the_priorities,
)
from support.databases.postgres_server import Postgres
from support.servers.cluster_doors import Spread, open_spread_door
from support.servers.doors import Door
from support.servers.two_servers import listed, named_in
from support.site.standins import FakeSite

TESTS = Path(__file__).parents[1]
SEED = "1"


@pytest.fixture
async def door(tmp_path: Path, postgres: Postgres) -> AsyncIterator[Door]:
    spread = Spread(SEED)
    with postgres.database(migrated=True) as url:
        async with open_spread_door(tmp_path / "data", FakeSite(), url=url, spread=spread) as opened:
            await opened.add()
            yield opened
    assert all(spread.asked)


def test_every_test_that_is_named_for_one_server_is_there() -> None:
    for test in listed():
        file, _, name = test.partition("[")[0].partition("::")
        assert (f"def {name}(" if name else "def test_") in (TESTS / file).read_text(encoding="utf-8"), test


def test_a_test_is_named_by_itself_or_with_its_parameters() -> None:
    names = {"api/test_a.py::test_b": "both", "api/test_a.py::test_c[1]": "one"}
    assert [named_in(names, f"tests/api/test_a.py::{test}") for test in ("test_b", "test_b[x]")] == ["both", "both"]
    assert [named_in(names, f"tests/api/test_a.py::{test}") for test in ("test_c[1]", "test_c[2]")] == ["one", ""]
    assert named_in(names, "tests/api/test_a.py::test_bc") == ""
