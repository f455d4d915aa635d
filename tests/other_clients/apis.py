"""XianYuApis on a strict site: it answers buyers, reads a chat and an item, uploads a picture, logs in by a code."""

from __future__ import annotations

import asyncio
import base64
from pathlib import Path
from typing import Any, Final

from other_clients.trial import StrictSite, Trial, answers_at_each_start, note_rules, until

NAME: Final = "XianYuApis"
OK: Final = ["SUCCESS::调用成功"]
_HERE: Final = Path(__file__).parent
_PICTURE: Final = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="
)


async def try_apis(site: StrictSite, checkout: Path) -> Trial:
    """Let it do all that it can do of what a seller needs."""
    trial = Trial(NAME)
    live, cookie = str(_HERE / "apis_live.py"), site.cookie()
    await answers_at_each_start(site, trial, live, checkout, lambda asked, said: asked in said, COOKIE=cookie)
    await _asks(site, checkout, trial)
    await _logs_in(site, checkout, trial)
    await note_rules(site, trial)
    return trial


async def _asks(site: StrictSite, checkout: Path, trial: Trial) -> None:
    """Read a chat, upload a picture, read an item, ask who is logged in."""
    shop = site.box.shop(0)
    picture = site.place / "picture.png"
    picture.write_bytes(_PICTURE)
    said = await site.box.post("say", account=shop.unb, buyer="buyer1", text="最后一句")
    item = next(iter(shop.seller.items))
    named = {"COOKIE": site.cookie(), "CHAT": said["cid"], "ITEM": item, "PICTURE": str(picture)}
    found = await _found(site, "apis_once.py", checkout, trial, **named)
    if found:
        is_good = {
            "history": bool(found["history"]),
            "upload": found["upload"].get("success") is True,
            "item": found["item"]["ret"] == OK,
            "user": found["user"]["ret"] == OK,
        }
        trial.done += [name for name, good in is_good.items() if good]
        trial.failed += [f"{name}: {found[name]}" for name, good in is_good.items() if not good]


async def _logs_in(site: StrictSite, checkout: Path, trial: Trial) -> None:
    """Log in by a code that the seller scans and confirms; the login must be worth something."""

    async def is_shown() -> bool:
        return site.box.site.qr_logins.newest() is not None

    async def scan() -> None:
        await until(is_shown)
        await asyncio.sleep(1)
        await site.box.post("qr", status="SCANNED")
        await asyncio.sleep(1)
        await site.box.post("qr", status="CONFIRMED", account=site.box.shop(0).unb)

    scanning = asyncio.create_task(scan())
    try:
        found = await _found(site, "apis_login.py", checkout, trial)
    finally:
        scanning.cancel()
        await asyncio.gather(scanning, return_exceptions=True)
    if found and all(found[name]["ret"] == OK for name in ("token", "user")):
        trial.done.append("logged in by a code")
    elif found:
        trial.failed.append(f"a login that is worth nothing: {found}")


async def _found(site: StrictSite, program: str, checkout: Path, trial: Trial, **named: str) -> dict[str, Any]:
    async with site.running(str(_HERE / program), checkout, **named) as running:
        try:
            return await running.found()
        except (TimeoutError, LookupError) as error:
            trial.failed.append(f"{program}: {type(error).__name__} {error}\n{running.said()[-1_500:]}")
            return {}
