"""Ten key pages, drawn again beside their last pictures, for a person to look at: ``make snapshots``.

    python -m tests.browser.snapshots [--label LABEL] [--before LABEL]

The pictures of each label, which is the commit unless one is given, are kept in ``.snapshots/LABEL``. They are compared
with those of ``--before``, or else with the label that was drawn last before this one, and ``.snapshots/index.html``
shows old, new and difference, the most changed first. Nothing fails: whether a difference is wanted, a person judges.
The shops are those of the tests that need somebody, so that all but the times stands where it stood.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import html
import socket
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

if __package__ != "browser":  # started as a module of the repository
    sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[2])]

from playwright.async_api import Browser, Page, async_playwright

from benchmarks.chromium import FLAGS, chromium_path
from browser.conftest import Console, Place, opened_console
from browser.in_need import put_in_need, stocked
from browser.kept_contexts import KeptContexts

OUT = Path(".snapshots")
PAGES = {
    "overview": "/console/",
    "shops": "/console/accounts",
    "shop": "/console/accounts/afu",
    "rules": "/console/accounts/afu/rules",
    "shop-settings": "/console/accounts/afu/settings",
    "deliveries": "/console/accounts/muzi/deliveries",
    "chat": "/console/conversations/afu/c1",
    "goods": "/console/stock/1",
    "history": "/console/history",
    "notices": "/console/settings/notices",
}
LOOKS: dict[str, dict[str, Any]] = {
    "wide": {"viewport": {"width": 1280, "height": 800}, "color_scheme": "light", "locale": "zh-CN"},
    "phone": {"viewport": {"width": 390, "height": 844}, "color_scheme": "dark", "locale": "en-US"},
}
COMPARED = """
async ([before, after]) => {
  const read = async (data) => await createImageBitmap(await (await fetch(`data:image/png;base64,${data}`)).blob())
  const images = [await read(before), await read(after)]
  const [width, height] = [Math.max(...images.map((one) => one.width)), Math.max(...images.map((one) => one.height))]
  const [old, now] = images.map((image) => {
    const brush = new OffscreenCanvas(width, height).getContext('2d')
    brush.drawImage(image, 0, 0)
    return brush.getImageData(0, 0, width, height).data
  })
  const canvas = document.createElement('canvas')
  Object.assign(canvas, { width, height })
  const brush = canvas.getContext('2d')
  const shown = brush.createImageData(width, height)
  let changed = 0
  for (let at = 0; at < old.length; at += 4) {
    const differs = [0, 1, 2].some((part) => Math.abs(old[at + part] - now[at + part]) > 8)
    changed += differs
    const pale = 190 + (now[at] + now[at + 1] + now[at + 2]) / 12
    shown.data.set(differs ? [220, 0, 40, 255] : [pale, pale, pale, 255], at)
  }
  brush.putImageData(shown, 0, 0)
  return [changed / (width * height), canvas.toDataURL('image/png').split(',')[1]]
}
"""


@dataclass(frozen=True, slots=True)
class Difference:
    """One picture that was drawn before and now."""

    name: str
    share: float


async def draw(console: Console, folder: Path) -> None:
    """Draw every page in each look."""
    for look, how in LOOKS.items():
        page = await console.page(**how, timezone_id="Asia/Shanghai", reduced_motion="reduce")
        for name, path in PAGES.items():
            await page.goto(path)
            await page.locator("[data-test=line].live").wait_for()
            await page.wait_for_load_state("networkidle")
            await page.locator(".n-skeleton").first.wait_for(state="detached")
            await page.screenshot(path=folder / f"{name}-{look}.png", animations="disabled", caret="hide")


def drawn_twice(before: Path, after: Path) -> list[tuple[Path, Path]]:
    """The pictures of two folders that are in both."""
    pictures = ((before / picture.name, picture) for picture in sorted(after.glob("*.png")))
    return [(old, picture) for old, picture in pictures if old.exists()]


async def compare(page: Page, pictures: list[tuple[Path, Path]], out: Path) -> list[Difference]:
    """Draw what differs between each two; the most changed first."""
    found = []
    for old, picture in pictures:
        coded = [base64.b64encode(one.read_bytes()).decode() for one in (old, picture)]
        share, drawn = await page.evaluate(COMPARED, coded)
        (out / picture.name).write_bytes(base64.b64decode(drawn))
        found.append(Difference(picture.stem, share))
    return sorted(found, key=lambda one: -one.share)


def page_of(before: str, after: str, found: list[Difference]) -> str:
    """The page that shows them."""
    rows = "\n".join(
        f"<h2>{one.name}: {one.share:.2%}</h2><p>"
        + "".join(f'<img src="{html.escape(place)}/{one.name}.png">' for place in (before, after, "difference"))
        + "</p>"
        for one in found
    )
    style = "body{font:15px sans-serif;margin:16px}p{display:flex;gap:8px}img{width:33%;border:1px solid #ccc}"
    title = f"{html.escape(before)} → {html.escape(after)}"
    head = f'<!doctype html><meta charset="utf-8"><title>{title}</title><style>{style}</style>'
    return f"{head}<h1>{title}</h1><p>Old, new, and in red what differs. Times always do.</p>{rows}"


def label_before(label: str) -> str | None:
    """The label that was drawn last before this one."""
    drawn = [one for one in OUT.glob("*/") if one.name not in {label, "difference"}]
    return max(drawn, key=lambda one: one.stat().st_mtime).name if drawn else None


async def draw_all(chromium: Browser, folder: Path) -> None:
    """Start a server with shops in need and draw them."""
    with socket.create_server(("127.0.0.1", 0)) as listener, tempfile.TemporaryDirectory() as data:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        place = Place(listener, KeptContexts(chromium, url), url)
        async with opened_console(chromium, place, Path(data)) as console:
            for number, name in enumerate(("afu", "muzi", "xiaoyu"), 1):
                await console.door.add(name, number)
            await put_in_need(console)
            await stocked(console)
            await draw(console, folder)


async def run(label: str, before: str | None) -> None:
    """Draw, compare, and say where to look."""
    folder = OUT / label
    for place in (folder, OUT / "difference"):
        place.mkdir(parents=True, exist_ok=True)
    async with async_playwright() as playwright:
        chromium = await playwright.chromium.launch(executable_path=chromium_path(), args=list(FLAGS))
        await draw_all(chromium, folder)
        sys.stdout.write(f"{len(list(folder.glob('*.png')))} pictures in {folder}\n")
        if before is not None:
            page = await chromium.new_page()
            found = await compare(page, drawn_twice(OUT / before, folder), OUT / "difference")
            (OUT / "index.html").write_text(page_of(before, label, found), encoding="utf-8")
            sys.stdout.write(f"compared with {before}: look at {OUT / 'index.html'}\n")
        await chromium.close()


def main() -> int:
    """Read the arguments and draw."""
    parser = argparse.ArgumentParser(description="ten pages of the console, old and new beside each other")
    parser.add_argument("--label", default="", help="where the pictures are kept (default: the commit)")
    parser.add_argument("--before", default="", help="with which they are compared (default: those drawn last)")
    chosen = parser.parse_args()
    if chromium_path() is None:
        sys.stderr.write("no Chromium on this machine; install it (Debian: chromium), or name one in CHROMIUM\n")
        return 1
    commit = ["git", "describe", "--always", "--dirty"]
    label = chosen.label or subprocess.run(commit, capture_output=True, text=True, check=True).stdout.strip()
    asyncio.run(run(label, chosen.before or label_before(label)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
