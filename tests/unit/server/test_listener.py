"""The names under which a server may be reached."""

from __future__ import annotations

from pathlib import Path

import pytest
from structlog.testing import capture_logs

from shoal.server.listener import _warn_of_closed_doors, _warn_of_doors, own_names
from support.site.standins import quick_settings


@pytest.mark.parametrize(
    ("allowed", "address", "names"),
    [
        ("", "http://shoal-1:8080", {"shoal-1"}),
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


def test_g8_the_name_in_the_public_url_is_the_servers_own(tmp_path: Path) -> None:
    settings = quick_settings(data_dir=tmp_path, allowed_hosts="nas.local", public_url="https://Shop.Example.com:8443/")
    assert own_names(settings) == {"nas.local", "shop.example.com"}


@pytest.mark.parametrize(
    ("node", "host", "address", "warnings"),
    [
        ("one", "127.0.0.1", "", 1),
        ("one", "127.0.0.1", "https://10.0.0.5:8080", 1),
        ("one", "0.0.0.0", "https://10.0.0.5:8080", 0),  # noqa: S104
        ("one", "127.0.0.1", "http://127.0.0.1:8080", 0),
        (None, "127.0.0.1", "", 0),
    ],
)
def test_a_server_that_others_will_not_reach_says_so(
    tmp_path: Path, node: str | None, host: str, address: str, warnings: int
) -> None:
    settings = quick_settings(data_dir=tmp_path, host=host, node=node, node_address=address)
    with capture_logs() as logs:
        _warn_of_closed_doors(settings)
    assert [entry["log_level"] for entry in logs] == ["warning"] * warnings


_NAMELESS = "browsers reach this server by its address only: name it"


@pytest.mark.parametrize(
    ("host", "is_encrypted", "warnings"),
    [
        ("127.0.0.1", False, []),
        ("0.0.0.0", False, ["passwords may cross the network in clear"]),  # noqa: S104
        ("0.0.0.0", True, [_NAMELESS]),  # noqa: S104
    ],
)
def test_who_can_be_overheard_or_has_no_name_is_warned(
    tmp_path: Path, host: str, *, is_encrypted: bool, warnings: list[str]
) -> None:
    with capture_logs() as logs:
        _warn_of_doors(quick_settings(data_dir=tmp_path, host=host, allowed_hosts=""), is_encrypted=is_encrypted)
    assert [entry["event"] for entry in logs] == warnings
