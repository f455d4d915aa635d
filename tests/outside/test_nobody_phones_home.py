"""The programs ask only for the configured site, and for proxies and hosts that an owner named (suppliers, services for
notices): seen packet by packet, in a network of their own."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from outside.watched_network import CHANNELS, COLLECTOR, HEARTBEAT, NOT_ALLOWED, PROXY, SUPPLIER, WEBHOOK
from shoal.notices.services import SERVICES
from support.runs.quick_start import blank_database
from support.site.standins import quick_settings

pytestmark = pytest.mark.outside
_SETTINGS = quick_settings()
SITE = {
    urlsplit(url).hostname
    for url in (_SETTINGS.site_mtop_url, _SETTINGS.site_ws_url, _SETTINGS.site_passport_url, _SETTINGS.site_upload_url)
}


async def test_d8_nobody_is_connected_to_and_no_name_asked_for_but_the_site_and_who_an_owner_named(
    tmp_path: Path,
) -> None:
    """The demo in full, and a server with the real names, an account behind a proxy, a QR login, a supplier, and a
    channel of each service for notices, four of them to hosts inside, which none of them reaches;
    two webhooks, one of them to a host inside."""
    if not sys.platform.startswith("linux"):
        pytest.skip("only Linux has networks of one's own")
    script = Path(__file__).with_name("watched_network.py")
    (tmp_path / "demo").mkdir()
    await blank_database(tmp_path / "real" / "data")
    child = await asyncio.create_subprocess_exec(
        sys.executable, str(script), str(tmp_path), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    out, err = await child.communicate()
    if child.returncode == NOT_ALLOWED and not os.environ.get("REQUIRE_BROWSER"):
        pytest.skip(err.decode().strip())
    assert child.returncode == 0, err.decode()[-3000:]
    told = json.loads(out)
    programs, caught = told["programs"], told["caught"]
    assert set(programs["targets"]) == set(told["allowed"])
    assert {service for service, _ in CHANNELS.values()} == set(SERVICES)
    named = {PROXY, SUPPLIER, HEARTBEAT, WEBHOOK, COLLECTOR, *CHANNELS}
    asked = set(programs["names"]) - named
    assert asked, "no name was asked for: the server did not even try to reach the site"
    assert asked <= SITE
    assert named <= set(programs["names"])
    assert (programs["lost"], caught["lost"]) == (0, 0)
    planted = {"tcp 203.0.113.7 443", "tcp 2001:db8::7 443", "udp 198.51.100.1 8125"}
    assert set(caught["targets"]) - set(programs["targets"]) == planted, "else the watch is blind"
    assert "statistics.example" in caught["names"]
