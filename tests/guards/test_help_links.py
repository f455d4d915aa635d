"""Each link of the console to a place in the help leads to an anchor that the built help has, in both languages."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from shoal.console import help_pages

ROOT = Path(__file__).parents[2]
SITE = help_pages.SITE
PLACE = re.compile(r"""['"]((?:(?:howto|concepts)/)?[a-z-]+#[a-z0-9-]+)['"]""")
ANCHOR = re.compile(r"""\sid=["']?([^"'\s>]+)""")

pytestmark = pytest.mark.skipif(not (SITE / "index.html").is_file(), reason="not built; run `make docs`")


def linked() -> dict[str, set[str]]:
    """Each place of the help that the console names, and the files that name it."""
    found: dict[str, set[str]] = {}
    for path in sorted((ROOT / "web" / "src").rglob("*")):
        if path.suffix in (".vue", ".ts") and not path.name.endswith(".test.ts") and path.name != "FieldHelp.vue":
            for place in PLACE.findall(path.read_text(encoding="utf-8")):
                found.setdefault(place, set()).add(str(path.relative_to(ROOT)))
    return found


def test_every_place_that_the_console_links_exists_in_both_languages() -> None:
    places = linked()
    assert len(places) > 10
    anchors: dict[Path, set[str]] = {}
    missing = []
    for place, files in places.items():
        page, _, anchor = place.partition("#")
        for language in ("", "en/"):
            path = SITE / language / page / "index.html"
            if path not in anchors:
                text = path.read_text(encoding="utf-8") if path.is_file() else ""
                anchors[path] = set(ANCHOR.findall(text))
            if anchor not in anchors[path]:
                missing.append(f"{language}{place} ({', '.join(sorted(files))})")
    assert missing == []
