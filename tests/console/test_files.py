"""The files of the console: the right caching, the strict header, and a word when they were never built."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from shoal.console import routes


@pytest.fixture
def built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A build in small."""
    static = tmp_path / "static"
    (static / "assets").mkdir(parents=True)
    (static / "index.html").write_text("<title>the page</title>")
    (static / "manifest.webmanifest").write_text("{}")
    (static / "assets" / "main-1a2b.js").write_text("plain")
    (static / "assets" / "main-1a2b.js.br").write_bytes(b"in brotli")
    (static / "assets" / "main-1a2b.js.gz").write_bytes(b"in gzip")
    (tmp_path / "secret.txt").write_text("secret")
    monkeypatch.setattr(routes, "STATIC", static)
    return static


@pytest.mark.usefixtures("built")
async def test_every_path_of_the_console_is_the_page_and_asked_for_anew(browser: httpx.AsyncClient) -> None:
    for path in (
        "/console",
        "/console/",
        "/console/accounts",
        "/console/accounts/my.shop",
        "/console/accounts/%E5%BA%97",
    ):
        answer = await browser.get(path)
        assert (answer.status_code, answer.text) == (200, "<title>the page</title>")
        assert answer.headers["content-type"] == "text/html; charset=utf-8"
        assert answer.headers["cache-control"] == "no-cache"
    again = await browser.get("/console/", headers={"If-None-Match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


@pytest.mark.usefixtures("built")
async def test_no_script_but_our_own_files_may_run(browser: httpx.AsyncClient) -> None:
    answer = await browser.get("/console/")
    policy = answer.headers["content-security-policy"]
    assert "script-src 'self';" in policy
    assert "frame-ancestors 'none'" in policy
    assert "http" not in policy
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.usefixtures("built")
async def test_a_hashed_file_is_kept_for_ever_in_the_best_encoding(browser: httpx.AsyncClient) -> None:
    async def fetch(accept: str) -> tuple[str, str]:
        request = browser.build_request("GET", "/console/assets/main-1a2b.js", headers={"Accept-Encoding": accept})
        answer = await browser.send(request, stream=True)
        assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
        assert answer.headers["vary"] == "Accept-Encoding"
        assert answer.headers["content-type"] == "text/javascript; charset=utf-8"
        body = b"".join([chunk async for chunk in answer.aiter_raw()])
        await answer.aclose()
        return answer.headers.get("content-encoding", ""), body.decode()

    assert await fetch("gzip, deflate, br") == ("br", "in brotli")
    assert await fetch("gzip") == ("gzip", "in gzip")
    assert await fetch("identity") == ("", "plain")


@pytest.mark.usefixtures("built")
async def test_the_manifest_has_its_own_type(browser: httpx.AsyncClient) -> None:
    answer = await browser.get("/console/manifest.webmanifest")
    assert answer.headers["content-type"] == "application/manifest+json"


@pytest.mark.usefixtures("built")
@pytest.mark.parametrize(
    "path",
    ["assets/../../secret.txt", "assets/%2e%2e/%2e%2e/secret.txt", "assets/nothing.js", "assets/", "a" * 400 + ".js"],
)
async def test_nothing_but_the_built_files_is_served(browser: httpx.AsyncClient, path: str) -> None:
    answer = await browser.get(httpx.URL("http://localhost:8080", raw_path=f"/console/{path}".encode()))
    assert "secret" not in answer.text
    assert answer.status_code == 404


@pytest.mark.parametrize(("language", "word"), [("zh-CN", "尚未构建"), ("en", "is not built")])
async def test_a_console_that_was_never_built_says_what_to_do(
    browser: httpx.AsyncClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, language: str, word: str
) -> None:
    monkeypatch.setattr(routes, "STATIC", tmp_path / "nothing")
    answer = await browser.get("/console/accounts", headers={"Accept-Language": language})
    assert answer.status_code == 503
    assert word in answer.text
    assert "make console" in answer.text


async def test_who_types_no_path_is_led_to_the_console(browser: httpx.AsyncClient) -> None:
    answer = await browser.get("/")
    assert (answer.status_code, answer.headers["location"]) == (307, "/console/")
