"""What a browser loads before the sign-in: little, in one language, and without the component library."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

BUILT = Path(__file__).parents[2] / "src" / "shoal" / "console" / "static"
MOST_BYTES = 120 * 1024
_IMPORTED = re.compile(r"""(?:from|import)\s*["']\./([^"']+\.js)["']""")

pytestmark = pytest.mark.skipif(not (BUILT / "index.html").exists(), reason="the console is not built: make console")


def _with_imports(names: set[str]) -> set[str]:
    """Return chunks with all that they import without being asked again."""
    found: set[str] = set()
    while names - found:
        name = (names - found).pop()
        found.add(name)
        names |= set(_IMPORTED.findall((BUILT / "assets" / name).read_text(encoding="utf-8")))
    return found


def _packed(path: Path) -> int:
    brotli = path.with_name(f"{path.name}.br")
    return (brotli if brotli.exists() else path).stat().st_size


@pytest.mark.parametrize("language", ["zh", "en"])
def test_the_sign_in_page_is_small(language: str) -> None:
    page = (BUILT / "index.html").read_text(encoding="utf-8")
    texts = re.search(rf'data-{language}="/console/assets/(first-[^ "]+)', page)
    entry = re.search(r'src="/console/assets/(index-[^"]+\.js)"', page)
    assert texts is not None
    assert entry is not None
    assets = BUILT / "assets"
    forms = {path.name for pattern in ("Login-*.js", "boot-*.js") for path in assets.glob(pattern)}
    scripts = _with_imports({texts[1], entry[1], *forms})
    styles = {
        *re.findall(r'href="/console/assets/([^"]+\.css)"', page),
        *(path.name for path in assets.glob("Login-*.css")),
    }
    total = _packed(BUILT / "index.html") + sum(_packed(assets / name) for name in scripts | styles)
    assert len(scripts) > 4
    assert not any(name.startswith(("kit-", "shared", "pages-")) for name in scripts)
    assert total <= MOST_BYTES
