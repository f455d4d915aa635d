"""Where the figures of struck servers are kept: a run of some cases leaves those of the last run of all as they are."""

from __future__ import annotations

import pytest

from benchmarks.failover import CASES, result_name


@pytest.mark.parametrize(("cases", "name"), [
    (list(CASES), "failover"),
    (["worker"], "failover_some"),
    (["frozen", "cut"], "failover_some"),
    ([case for case in CASES if case != "cut"], "failover_some"),
    (["cut"], "failover_cut"),
    (["stumbling", "cut"], "failover_cut"),
])  # fmt: skip
def test_only_a_run_of_all_cases_replaces_one_of_all(cases: list[str], name: str) -> None:
    assert result_name(cases) == name
