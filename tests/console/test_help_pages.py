"""The help at /help: served without a sign-in, with the right caching and policy, and a word when it was not built."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from shoal.console import help_pages


@pytest.fixture
def built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A help of two pages."""
    site = tmp_path / "help_site"
    (site / "en" / "rules").mkdir(parents=True)
    (site / "assets" / "javascripts").mkdir(parents=True)
    (site / "index.html").write_text("<title>帮助</title>")
    (site / "404.html").write_text("<title>missing</title>")
    (site / "en" / "rules" / "index.html").write_text("<title>Rules</title>")
    (site / "assets" / "javascripts" / "bundle.0123abcd.min.js").write_text("script")
    (site / "script-hashes.txt").write_text("sha256-AAAA=\nsha256-BBBB=\n")
    (tmp_path / "secret.txt").write_text("secret")
    monkeypatch.setattr(help_pages, "SITE", site)
    return site


@pytest.mark.usefixtures("built")
async def test_a_page_is_read_without_a_sign_in_and_asked_for_anew(browser: httpx.AsyncClient) -> None:
    for path, title in (("/help/", "帮助"), ("/help/en/rules/", "Rules")):
        answer = await browser.get(path)
        assert (answer.status_code, answer.text) == (200, f"<title>{title}</title>")
        assert answer.headers["content-type"] == "text/html; charset=utf-8"
        assert answer.headers["cache-control"] == "no-cache"
        again = await browser.get(path, headers={"If-None-Match": answer.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")


@pytest.mark.usefixtures("built")
async def test_the_short_address_leads_to_the_first_page(browser: httpx.AsyncClient) -> None:
    answer = await browser.get("/help")
    assert (answer.status_code, answer.headers["location"]) == (307, "/help/")


@pytest.mark.usefixtures("built")
async def test_a_file_with_a_hash_in_its_name_is_kept_for_ever(browser: httpx.AsyncClient) -> None:
    answer = await browser.get("/help/assets/javascripts/bundle.0123abcd.min.js")
    assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert answer.headers["content-type"] == "text/javascript; charset=utf-8"


@pytest.mark.usefixtures("built")
async def test_of_scripts_in_a_page_only_the_known_ones_may_run(browser: httpx.AsyncClient) -> None:
    for path in ("/help/", "/help/nowhere/"):
        policy = (await browser.get(path)).headers["content-security-policy"]
        assert "script-src 'self' 'sha256-AAAA=' 'sha256-BBBB=';" in policy
        assert "http" not in policy
        assert "unsafe" not in policy.replace("style-src 'self' 'unsafe-inline'", "")
    console = (await browser.get("/console/")).headers["content-security-policy"]
    assert "sha256" not in console, "the console has no script in its page"


async def test_a_new_build_is_noticed(browser: httpx.AsyncClient, built: Path) -> None:
    assert "AAAA" in (await browser.get("/help/")).headers["content-security-policy"]
    (built / "script-hashes.txt").write_text("sha256-CCCC=\n")
    policy = (await browser.get("/help/")).headers["content-security-policy"]
    assert ("CCCC" in policy, "AAAA" in policy) == (True, False)


@pytest.mark.usefixtures("built")
@pytest.mark.parametrize("path", ["en/%2e%2e/%2e%2e/secret.txt", "nowhere/", "en", "a" * 400 + "/"])
async def test_nothing_but_the_built_files_is_served(browser: httpx.AsyncClient, path: str) -> None:
    answer = await browser.get(httpx.URL("http://localhost:8080", raw_path=f"/help/{path}".encode()))
    assert "secret" not in answer.text
    assert (answer.status_code, answer.text) == (404, "<title>missing</title>")


@pytest.mark.parametrize(("language", "word"), [("zh-CN", "尚未构建"), ("en", "is not built")])
async def test_a_help_that_was_never_built_says_what_to_do(
    browser: httpx.AsyncClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, language: str, word: str
) -> None:
    monkeypatch.setattr(help_pages, "SITE", tmp_path / "nothing")
    answer = await browser.get("/help/en/rules/", headers={"Accept-Language": language})
    assert answer.status_code == 503
    assert word in answer.text
    assert "make docs" in answer.text
