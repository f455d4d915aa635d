"""Keeps ``COOKIE`` connected by XianYuApis, which answers each buyer. Run in its checkout, by ``led.py``."""

from __future__ import annotations

import asyncio
import os

from goofish_live import XianyuLive  # type: ignore[import-not-found]  # of the checkout

asyncio.run(XianyuLive(os.environ["COOKIE"]).main())
