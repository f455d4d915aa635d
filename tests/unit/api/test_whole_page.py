"""The figures of several workers on one page."""

from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families

from shoal.api.metrics.whole_page import merged

ONE = """# HELP shoal_shops Shops by state.
# TYPE shoal_shops gauge
shoal_shops{state="running"} 3.0
shoal_shops{state="a } b"} 1.0
# HELP process_open_fds Files.
# TYPE process_open_fds gauge
process_open_fds 12.0
"""
TWO = """# HELP shoal_shops Shops by state.
# TYPE shoal_shops gauge
shoal_shops{state="running"} 5.0
# HELP shoal_only_there Here alone.
# TYPE shoal_only_there counter
shoal_only_there_total 1.0
"""


def test_each_family_is_described_once_and_each_sample_says_whose_it_is() -> None:
    page = merged({"2": TWO, "1": ONE})
    families = {family.name: family for family in text_string_to_metric_families(page)}
    found = {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in families.values()
        for sample in family.samples
    }
    assert found == {
        ("shoal_shops", ("state", "running"), ("worker", "1")): 3.0,
        ("shoal_shops", ("state", "a } b"), ("worker", "1")): 1.0,
        ("shoal_shops", ("state", "running"), ("worker", "2")): 5.0,
        ("process_open_fds", ("worker", "1")): 12.0,
        ("shoal_only_there_total", ("worker", "2")): 1.0,
    }
    assert page.count("# TYPE shoal_shops gauge") == 1
    assert families["shoal_shops"].documentation == "Shops by state."
