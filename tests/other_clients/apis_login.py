"""Logs in by XianYuApis with a code that is scanned, and asks for a token. Run in its checkout, by ``led.py``."""

from __future__ import annotations

import json
import sys

from goofish_apis import qrcode_login  # type: ignore[import-not-found]  # of the checkout

apis = qrcode_login(poll_interval=0.3, timeout=60.0, show_qrcode=False)
found = {"token": apis.get_token(), "user": apis.refresh_token()}
sys.stdout.write(f"FOUND {json.dumps(found, ensure_ascii=False)}\n")
