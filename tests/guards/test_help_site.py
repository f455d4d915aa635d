"""The built help loads nothing from other hosts, and runs only scripts that its policy allows."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from pathlib import Path

import pytest

from shoal.console import help_pages

ROOT = Path(__file__).parents[2]
SITE = help_pages.SITE
LOADED = re.compile(
    r"<(?:script|img|iframe|source|audio|video|embed|object)[^>]*?\s(?:src|data)=\"?([^\s\">]+)", re.IGNORECASE
)
LINKED = re.compile(r"<link[^>]*?\shref=\"?([^\s\">]+)", re.IGNORECASE)
OF_STYLES = re.compile(r"@import|url\(['\"]?(?!data:|#)([a-z]+:)?//", re.IGNORECASE)
HANDLER = re.compile(r"<[a-z][^>]*\son[a-z]+=", re.IGNORECASE)
INLINE = re.compile(r"<script>(.*?)</script>", re.DOTALL)

pytestmark = pytest.mark.skipif(not (SITE / "index.html").is_file(), reason="not built; run `make docs`")


def pages() -> dict[str, str]:
    return {str(path.relative_to(SITE)): path.read_text(encoding="utf-8") for path in SITE.rglob("*.html")}


def test_no_page_loads_anything_from_another_host() -> None:
    assert len(pages()) > 20
    for name, page in pages().items():
        loaded = [*LOADED.findall(page), *LINKED.findall(page)]
        assert loaded, name
        assert [one for one in loaded if "//" in one and not one.startswith("data:")] == [], name
    for path in SITE.rglob("*.css"):
        assert not OF_STYLES.search(path.read_text(encoding="utf-8")), path


def test_every_script_within_a_page_is_named_and_none_stands_in_an_attribute() -> None:
    named = set((SITE / help_pages.HASHES).read_text(encoding="utf-8").split())
    found = set()
    for name, page in pages().items():
        assert not HANDLER.search(re.sub(r"<(pre|code)\b.*?</\1>", "", page, flags=re.DOTALL)), name
        for script in INLINE.findall(page):
            found.add("sha256-" + base64.b64encode(hashlib.sha256(script.encode()).digest()).decode())
    assert found == named
    assert len(named) < 15, "each stands in a header of every page"


def test_each_language_has_a_search_of_its_own_with_all_its_pages() -> None:
    for folder, start in (("search", ""), ("en/search", "en/")):
        index = json.loads((SITE / folder / "search_index.json").read_text(encoding="utf-8"))
        indexed = {entry["location"].partition("#")[0] for entry in index["docs"]}
        own = {name.removesuffix("index.html") for name in pages() if name != "404.html"}
        if start:
            own = {name.removeprefix(start) for name in own if name.startswith(start)}
        else:
            own = {name for name in own if not name.startswith("en/")}
        assert indexed == own, folder
