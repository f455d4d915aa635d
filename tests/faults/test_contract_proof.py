"""What the proof of the contract at two servers counts: each file's tests of one report, and what they asked."""

from __future__ import annotations

import pytest

from faults.prove_contract import counted, told

REPORT = """<?xml version="1.0" encoding="utf-8"?><testsuites name="pytest tests"><testsuite name="pytest" tests="5">
<testcase classname="tests.api.test_a" name="test_b"><properties>
<property name="asked" value="[3, 4]" /><property name="behind" value="2" /><property name="looks" value="False" />
</properties></testcase>
<testcase classname="tests.api.test_a" name="test_c[x]"><properties>
<property name="asked" value="[1, 0]" /></properties>
<failure message="assert 1 == 2">…</failure><error message="failed on teardown">…</error></testcase>
<testcase classname="tests.api.test_a" name="test_d"><skipped message="it is about a single server" /></testcase>
<testcase classname="tests.console.test_e.TestF" name="test_g" />
<testcase classname="" name="tests.contract.test_h"><error message="collection failure">…</error></testcase>
</testsuite></testsuites>
"""


def test_each_file_of_a_report_is_counted_and_what_is_broken_is_named() -> None:
    found = counted(REPORT)
    assert found["tests/api/test_a.py"] == {
        "passed": 1, "failed": 1, "error": 1, "skipped": 1, "asked": [4, 4], "behind": 2,
        "violations": ["tests/api/test_a.py::test_c[x]"],
    }  # fmt: skip
    assert found["tests/console/test_e.py"]["passed"] == 1
    assert found["tests/contract/test_h.py"]["violations"] == ["tests/contract/test_h.py::tests.contract.test_h"]


@pytest.mark.parametrize(("asked", "broken", "is_whole", "ended"), [
    ([5, 4], [], True, 0),
    ([5, 4], ["a_test"], True, 1),
    ([9, 0], [], True, 1),  # nothing was proven of two servers
    ([0, 0], [], True, 1),
    ([0, 0], [], False, 0),  # the files that were named send no requests
    ([1, 0], [], False, 0),
    ([0, 0], ["a_test"], False, 1),
])  # fmt: skip
def test_only_a_whole_run_must_meet_both_servers(
    asked: list[int], broken: list[str], is_whole: bool, ended: int
) -> None:
    rows = [{"passed": 1, "skipped": 0, "asked": asked, "violations": broken}]
    assert told(rows, is_whole=is_whole) == ended
