"""Build the help from ``docs/`` into the package: ``python scripts/build_docs.py``.

The build is strict: a broken link, or a page missing from the menu, fails it. The pages work under a content security
policy that allows only our own script files and inline scripts with a listed hash, and no other host: see
``shoal.console.help_pages``.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import logging
import os
import re
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

import jieba
from mkdocs.commands.build import build
from mkdocs.config import load_config
from mkdocs.exceptions import Abort

ROOT = Path(__file__).parent.parent
SITE = ROOT / "src" / "shoal" / "console" / "help_site"
HASHES = "script-hashes.txt"
INLINE_SCRIPT = re.compile(r"<script(?P<attributes>[^>]*)>(?P<text>.*?)</script>", re.DOTALL | re.IGNORECASE)
FOR_SEARCH_ENGINES = re.compile(r'\s*<link rel="(?:canonical|alternate)"[^>]*>')
"""``canonical`` would name a wrong address; ``alternate`` makes a script request ``sitemap.xml``."""
UNUSED = ("*.map", "sitemap.xml*")
"""Source maps, and the sitemap for search engines."""
TEXTS = {".html", ".js", ".css", ".json", ".svg"}


def main() -> int:
    """Build into a temporary directory, then replace the current site."""
    os.environ.setdefault("NO_MKDOCS_2_WARNING", "1")
    jieba.setLogLevel(logging.WARNING)
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s: %(message)s")
    cache = ROOT / "build"
    cache.mkdir(exist_ok=True)
    jieba.dt.tmp_dir = str(cache)
    with tempfile.TemporaryDirectory(dir=cache) as directory:
        site = Path(directory) / "site"
        config = load_config(str(ROOT / "mkdocs.yml"), strict=True, site_dir=str(site))
        config.plugins.on_startup(command="build", dirty=False)
        try:
            build(config)
        except Abort as error:
            sys.stderr.write(f"{error}\n")
            return 1
        finish(site)
        shutil.rmtree(SITE, ignore_errors=True)
        shutil.move(site, SITE)
    return 0


def finish(site: Path) -> None:
    """Delete unused files, split the search index, write the script hashes, and compress."""
    for pattern in UNUSED:
        for path in site.rglob(pattern):
            path.unlink()
    shutil.rmtree(site / "assets" / "javascripts" / "lunr")  # stemmers of other languages
    divide_search(site)
    hashes: set[str] = set()
    for path in site.rglob("*.html"):
        page = FOR_SEARCH_ENGINES.sub("", path.read_text(encoding="utf-8"))
        path.write_text(page, encoding="utf-8")
        hashes |= script_hashes(page)
    (site / HASHES).write_text("".join(f"{one}\n" for one in sorted(hashes)), encoding="utf-8")
    for path in [path for path in site.rglob("*") if path.suffix in TEXTS]:
        packed = gzip.compress(path.read_bytes(), 9, mtime=0)
        path.with_name(f"{path.name}.gz").write_bytes(packed)


def divide_search(site: Path) -> None:
    """Write a search index for each language; the plugin writes one for all."""
    index: dict[str, Any] = json.loads((site / "search" / "search_index.json").read_text(encoding="utf-8"))
    english = [
        {**entry, "location": entry["location"].removeprefix("en/")}
        for entry in index["docs"]
        if entry["location"].startswith("en/")
    ]
    chinese = [entry for entry in index["docs"] if not entry["location"].startswith("en/")]
    for folder, entries in ((site / "search", chinese), (site / "en" / "search", english)):
        folder.mkdir(exist_ok=True)
        text = json.dumps({**index, "docs": entries}, ensure_ascii=False, separators=(",", ":"))
        (folder / "search_index.json").write_text(text, encoding="utf-8")


def script_hashes(page: str) -> set[str]:
    """Return the policy's hash of each inline script of a page. Elements with ``type=`` hold data, not scripts."""
    return {
        "sha256-" + base64.b64encode(hashlib.sha256(found["text"].encode()).digest()).decode()
        for found in INLINE_SCRIPT.finditer(page)
        if not re.search(r"\s(?:src|type)=", found["attributes"])
    }


if __name__ == "__main__":
    sys.exit(main())
