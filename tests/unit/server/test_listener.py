"""The names under which a server may be reached."""

from __future__ import annotations

from pathlib import Path

import pytest

from shoal.server.listener import own_names
from standins import quick_settings


@pytest.mark.parametrize(
    ("allowed", "address", "names"),
    [
        ("", "http://shoal-1:8080", set()),
        ("shop.example.com", "", {"shop.example.com"}),
        ("shop.example.com", "http://Shoal-1.nodes:8080/", {"shop.example.com", "shoal-1.nodes"}),
        ("shop.example.com", "https://10.0.0.5:8080", {"shop.example.com", "10.0.0.5"}),
    ],
)
def test_the_name_by_which_other_nodes_call_a_server_is_its_own(
    tmp_path: Path, allowed: str, address: str, names: set[str]
) -> None:
    settings = quick_settings(data_dir=tmp_path, allowed_hosts=allowed, node="one", node_address=address)
    assert own_names(settings) == names
