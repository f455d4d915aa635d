"""What axe has against a page."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from playwright.async_api import Page

AXE = Path(__file__).parents[2] / "web" / "node_modules" / "axe-core" / "axe.min.js"


async def findings(page: Page) -> list[str]:
    """What axe has against a page, by the rules of WCAG 2.2 A and AA and its best practices."""
    await page.evaluate(AXE.read_text())  # not as a script of the page: its policy forbids that
    found: list[dict[str, Any]] = await page.evaluate("axe.run({preload: false}).then(result => result.violations)")
    return [
        f"{one['id']}: {node['html'][:200]} {node['failureSummary'][:200]}" for one in found for node in one["nodes"]
    ]
