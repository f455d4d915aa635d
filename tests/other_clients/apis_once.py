"""Asks XianYuApis once for each of its things, and prints what came as JSON. Run in its checkout, by ``led.py``.

``COOKIE``, ``CHAT``, ``ITEM`` and ``PICTURE`` name what it works with. Its token is asked for by ``history``.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys

from goofish_apis import XianyuApis  # type: ignore[import-not-found]  # of the checkout
from goofish_live import XianyuLive  # type: ignore[import-not-found]
from utils.goofish_utils import generate_device_id, trans_cookies  # type: ignore[import-not-found]

cookies = trans_cookies(os.environ["COOKIE"])
live = XianyuLive(os.environ["COOKIE"])
history = asyncio.run(live.list_all_conversations(os.environ["CHAT"]))
apis = XianyuApis(cookies, generate_device_id(cookies["unb"]))
found = {
    "history": history,
    "upload": apis.upload_media(os.environ["PICTURE"]),
    "item": apis.get_item_info(os.environ["ITEM"]),
    "user": apis.refresh_token(),
}
sys.stdout.write(f"FOUND {json.dumps(found, ensure_ascii=False)}\n")
