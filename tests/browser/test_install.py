"""The console as an app of its own: what a browser wants of a page before it offers to install it."""

from __future__ import annotations

import json
import struct

from browser.conftest import Console


async def test_a_browser_finds_everything_to_install_it(console: Console) -> None:
    page = await console.page()
    devtools = await page.context.new_cdp_session(page)
    manifest = await devtools.send("Page.getAppManifest")
    assert manifest["errors"] == []
    assert manifest["url"].endswith("/console/manifest.webmanifest")
    errors = (await devtools.send("Page.getInstallabilityErrors"))["installabilityErrors"]
    assert [one for one in errors if one["errorId"] != "in-incognito"] == []  # every page of a test is


async def test_each_icon_is_there_in_the_size_that_it_claims(console: Console) -> None:
    page = await console.page()
    base = f"{console.url}/console/"
    answer = await page.request.get(f"{base}manifest.webmanifest")
    assert answer.headers["content-type"].startswith("application/manifest+json")
    for icon in json.loads(await answer.text())["icons"]:
        found = await page.request.get(base + icon["src"])
        assert found.headers["content-type"] == icon["type"]
        if icon["type"] == "image/png":
            size = struct.unpack(">II", (await found.body())[16:24])
            assert icon["sizes"] == "{}x{}".format(*size)
