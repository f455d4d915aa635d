"""The proof of several servers, in short: ``make prove`` runs all cases with 300 shops."""

from __future__ import annotations

import random
import sys
from pathlib import Path

import pytest

from faults.cluster_cases import prepared, run_case, settled
from faults.cluster_rig import a_cluster
from support.databases.postgres_fixture import postgres  # noqa: F401  (a fixture)
from support.databases.postgres_server import Postgres

pytestmark = [
    pytest.mark.outside,
    pytest.mark.slow,
    pytest.mark.timeout(600),
    pytest.mark.skipif(sys.platform != "linux", reason="processes are frozen and killed as Linux does it"),
]
SHOPS = 6
NAMES = ("one", "two")


async def test_no_shop_has_two_owners_and_no_order_two_deliveries_when_a_server_is_frozen_or_dies_again_and_again(
    tmp_path: Path,
    postgres: Postgres,  # noqa: F811  (the fixture)
) -> None:
    chance = random.Random(17)
    async with a_cluster(tmp_path, postgres, NAMES, shops=SHOPS, lease_seconds=2, is_short=True) as cluster:
        await prepared(cluster, units=100)
        for case in ("frozen-writing", "restarting"):
            found = await run_case(cluster, case, per_second=0.25, chance=chance)
            assert not found.violations, "\n".join(found.violations)
            assert found.shops
            assert found.dropped == found.shops
        traded = await settled(cluster)
        assert not traded.violations, "\n".join(traded.violations)
        assert traded.counted.complete, traded.with_owner
