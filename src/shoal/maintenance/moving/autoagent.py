"""Reads what XianyuAutoAgent keeps: the settings in its ``.env`` and its prompts. It has one shop and no rules."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Final

from dotenv import dotenv_values

from shoal.assistant.old_prompts import SORTS
from shoal.errors import InvalidInput
from shoal.language.storable_texts import storable
from shoal.maintenance.moving.archives import opened_archive
from shoal.maintenance.moving.contract import contract_of
from shoal.maintenance.moving.old_shop import Fate, Oddity, OldAccount, OldAi, OldShop, Source
from shoal.maintenance.moving.tables import OldRow, OldTables
from shoal.xianyu.cookie_string import parse_cookie

ENV: Final = ".env"
PROMPTS: Final = "prompts"
HISTORY: Final = "data/chat_history.db"
MOST_BYTES: Final = 256 * 1024
"""How long the settings or a prompt may be."""
_MOST_FILES: Final = 200
_COOKIE, _MANUAL = "COOKIES_STR", "MANUAL_MODE_TIMEOUT"
_MANUAL_SECONDS: Final = 3600
"""How long that system leaves a chat to its owner unless the settings say something else."""
_MODEL: Final = {"MODEL_NAME": "model_name", "MODEL_BASE_URL": "base_url", "API_KEY": "api_key"}
_PLACEHOLDERS: Final = frozenset({"your_cookies_here", "默认使用通义千问,apikey通过百炼模型平台获取"})
"""What the example of that system has where a cookie and a key belong."""
_PURPOSES: Final = (SORTS, "price", "tech", "default")


def is_autoagent(path: Path) -> bool:
    """Return whether a file looks like the ``.env`` of that system, or like a ZIP file with one. Raises like
    ``opened_archive``."""
    if zipfile.is_zipfile(path):
        with opened_archive(path) as archive:
            return any(PurePosixPath(name).name == ENV for name in archive.namelist())
    with path.open("rb") as file:
        head = file.read(MOST_BYTES)
    lines = [] if b"\0" in head else head.splitlines()
    return any(line.lstrip().removeprefix(b"export ").startswith(_COOKIE.encode()) for line in lines)


def read_autoagent(path: Path) -> OldShop:
    """Read a ``.env``, or a ZIP file of the folder of that system. Raises ``InvalidInput``."""
    if zipfile.is_zipfile(path):
        return _shop(_of_zip(path))
    with path.open("rb") as file:
        return _shop({ENV: file.read(MOST_BYTES + 1)})


def packed(folder: Path) -> bytes:
    """Return a ZIP file with what is read of a folder of that system: settings and prompts. Raises ``OSError``."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(folder / ENV, ENV)
        for prompt in sorted((folder / PROMPTS).glob("*.txt")):
            archive.write(prompt, f"{PROMPTS}/{prompt.name}")
    return buffer.getvalue()


def _of_zip(path: Path) -> dict[str, bytes]:
    """Return the files that count, by their names below the folder that has the settings."""
    with opened_archive(path) as archive:
        named = {PurePosixPath(one.filename): one for one in archive.infolist()}
        roots = [name.parent for name in named if name.name == ENV]
        if not roots:
            raise InvalidInput("the archive has no .env", code="moving_no_env")
        root = min(roots, key=lambda one: len(one.parts))
        wanted = [root / ENV, *(name for name in named if name.parent == root / PROMPTS and name.suffix == ".txt")]
        found = {}
        for name in wanted[:_MOST_FILES]:
            with archive.open(named[name]) as file:
                found[str(name.relative_to(root))] = file.read(MOST_BYTES + 1)
        return found


def _shop(files: Mapping[str, bytes]) -> OldShop:
    values = _values(files[ENV])
    oddities = [*_left_out(values)]
    if b"\0" in files[ENV]:
        oddities.append(Oddity(table=ENV, row="", code="text_cleaned", fate=Fate.CHANGED))
    settings = {ours: values[theirs] for theirs, ours in _MODEL.items() if values.get(theirs)}
    account = _account(values, oddities)
    prompts = _prompts(files, oddities, waits=account is None)
    waiting = {**settings, **({"prompts": prompts} if prompts else {})}
    if account is not None and waiting:
        account = replace(account, ai=OldAi(is_on=True, settings=waiting))
    return OldShop(
        source=Source.AUTOAGENT,
        accounts=() if account is None else (account,),
        waiting=waiting if account is None else {},
        oddities=tuple(oddities),
    )


def _values(data: bytes) -> dict[str, str]:
    """Return the settings that have a value, without those of the example."""
    if len(data) > MOST_BYTES:
        raise InvalidInput("the .env is too long", code="moving_not_env")
    try:
        text = storable(data.decode("utf-8-sig"))
    except UnicodeDecodeError:
        raise InvalidInput("the .env is not UTF-8", code="moving_not_env") from None
    found = dotenv_values(stream=io.StringIO(text), interpolate=False)
    return {name: value for name, value in found.items() if value and value not in _PLACEHOLDERS}


def _left_out(values: Mapping[str, str]) -> Iterator[Oddity]:
    """Yield the settings that are not taken, and what is never taken."""
    tables = OldTables()
    tables.rows[ENV] = [OldRow(1, values)]
    yield from contract_of("autoagent").apply(tables).oddities
    yield Oddity(table=HISTORY, row="", code="history_stays", fate=Fate.SKIPPED)


def _prompts(files: Mapping[str, bytes], oddities: list[Oddity], *, waits: bool) -> dict[str, str]:
    """Return the prompt of each purpose: its own, else that of the example. ``waits``: no shop can take them."""
    texts = {name.removeprefix(f"{PROMPTS}/"): data for name, data in files.items() if name.startswith(PROMPTS)}
    found: dict[str, str] = {}
    for purpose in _PURPOSES:
        own, example = f"{purpose}_prompt.txt", f"{purpose}_prompt_example.txt"
        name = own if own in texts else example
        data = texts.pop(name, None)
        texts.pop(example, None)
        if data is None:
            continue
        try:
            found[purpose] = data.decode("utf-8-sig") if len(data) <= MOST_BYTES else ""
        except UnicodeDecodeError:
            found[purpose] = ""
        if (text := storable(found[purpose])) is not found[purpose]:
            found[purpose] = text
            oddities.append(Oddity(table=PROMPTS, row=name, code="text_cleaned", fate=Fate.CHANGED))
        if found[purpose].strip():
            code, fate = ("prompt_waits", Fate.WAITING) if waits else ("prompt_taken", Fate.TAKEN)
            if waits or purpose != SORTS:
                oddities.append(Oddity(table=PROMPTS, row=name, code=code, fate=fate))
        else:
            del found[purpose]
            oddities.append(Oddity(table=PROMPTS, row=name, code="prompt_unreadable", fate=Fate.SKIPPED))
    oddities.extend(Oddity(table=PROMPTS, row=name, code="prompt_unknown", fate=Fate.SKIPPED) for name in sorted(texts))
    if not found:
        oddities.append(Oddity(table=PROMPTS, row="", code="prompts_absent", fate=Fate.SKIPPED))
    return found


def _account(values: Mapping[str, str], oddities: list[Oddity]) -> OldAccount | None:
    """Return the shop without its model, named by its seller's number; ``None`` when the cookie has none."""
    cookie = values.get(_COOKIE, "")
    code = "env_no_cookie"
    unb = ""
    if cookie:
        try:
            unb, code = parse_cookie(cookie).get("unb", ""), "env_cookie_without_unb"
        except InvalidInput as error:
            code = "env_cookie_unreadable"
            oddities.append(Oddity(table=ENV, row=_COOKIE, code=code, fate=Fate.SKIPPED, params=dict(error.params)))
            return None
    if not unb:
        oddities.append(Oddity(table=ENV, row=_COOKIE, code=code, fate=Fate.SKIPPED))
        return None
    return OldAccount(
        id=unb,
        cookie=cookie,
        was_on=True,
        pause_duration=_pause_minutes(values.get(_MANUAL, ""), oddities),
    )


def _pause_minutes(text: str, oddities: list[Oddity]) -> int:
    """Return after how many minutes replies go on in a chat in which the owner wrote."""
    seconds = int(text) if text.isdecimal() else _MANUAL_SECONDS
    if text and not text.isdecimal():
        oddities.append(Oddity(table=ENV, row=_MANUAL, code="env_setting", fate=Fate.SKIPPED))
    return -(-seconds // 60)
