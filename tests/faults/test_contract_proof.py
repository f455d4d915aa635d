"""What the proof of the contract at two servers counts: each file's tests of one report, and what they asked."""

from __future__ import annotations

from faults.prove_contract import counted

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
