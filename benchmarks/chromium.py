"""Finds this machine's Chromium, with flags for tests and benchmarks: headless, no calls to other hosts."""

from __future__ import annotations

import os
import shutil

_UNUSED = ("WebUIOmniboxPopup", "WebUIOmniboxAimPopup", "SpareRendererForSitePerProcess")
"""Two pages of Chromium's own beside each new window, and a process in reserve: half of what a page costs."""
_PLAYWRIGHTS = (
    *("AvoidUnnecessaryBeforeUnloadCheckSync", "DestroyProfileOnBrowserClose", "HttpsUpgrades", "LensOverlay"),
    *("HttpsFirstBalancedModeAutoEnable", "MediaRouter", "PaintHolding", "ThirdPartyStoragePartitioning"),
    *("AvoidCorsURLLoaderRestartOnRedirect", "OptimizationHints", "NetworkTimeServiceQuerying", "AimEnabled"),
    "PreconnectToSearch",
)
"""What Playwright turns off: of two lists Chromium takes the last."""
FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--in-process-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    f"--disable-features={','.join((*_PLAYWRIGHTS, *_UNUSED))}",
)
SHORT_LIVED = (
    *("--process-per-site", "--renderer-process-limit=1", "--disable-site-isolation-trials"),
    "--js-flags=--no-opt,--no-maglev",
)
"""Flags for pages that live for seconds, one after the other: one process for all in a browser, also for the empty page
that each begins with, an eighth of a page; and no machine code, which would pay later: a twelfth. (Not
``--disable-threaded-compositing``, another eighth: with it, at times no frame comes. The network in the browser's own
process, a larger heap for new objects, code kept from the first load on, and other tiles change nothing.)
"""
_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_SHELL = "chromium-headless-shell"


def chromium_path() -> str | None:
    """Return the browser that ``CHROMIUM`` names, else the first known name on the PATH."""
    return os.environ.get("CHROMIUM") or next((found for name in _NAMES if (found := shutil.which(name))), None)


def shell_path() -> str | None:
    """Return the browser that ``CHROMIUM`` names, else Chromium's shell without windows, else the first known name.

    The shell draws the same pages for a fifth less: it has no windows, tabs and extensions. It shows no notifications.
    """
    return os.environ.get("CHROMIUM") or shutil.which(_SHELL) or chromium_path()
