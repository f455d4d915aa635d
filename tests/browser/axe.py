"""What axe has against a page, and what stands there with too little contrast."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from playwright.async_api import Page

AXE = Path(__file__).parents[2] / "web" / "node_modules" / "axe-core" / "axe.min.js"
CONTRAST = Path(__file__).with_name("contrast.js")
ASKED = """axe.run({
      preload: false, resultTypes: ['violations'],
      rules: {'target-size': {enabled: true}, 'color-contrast': {enabled: false}},
    })
    .then(result => result.violations)"""
"""Only what breaks a rule is described: to describe all that keeps one takes a sixth of the time. The contrast, a third
of it, is judged by ``faint``, also where axe leaves it open."""


async def findings(page: Page) -> list[str]:
    """What axe has against a page, by the rules of WCAG 2.2 A and AA and its best practices; and texts below 4.5 : 1.

    Axe leaves the size of targets out unless it is told.
    """
    if not await page.evaluate("'axe' in window"):
        await page.evaluate(AXE.read_text())  # not as a script of the page: its policy forbids that
    found: list[dict[str, Any]] = await page.evaluate(ASKED)
    nodes = [(one["id"], node) for one in found for node in one["nodes"]]
    told = [f"{name}: {node['html'][:200]} {node['failureSummary'][:200]}" for name, node in nodes]
    return told + await faint(page)


async def faint(page: Page) -> list[str]:
    """What stands on a page with too little contrast: what depends most on the look, and is cheap."""
    found: list[str] = await page.evaluate(CONTRAST.read_text())
    return found
