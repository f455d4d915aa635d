"""Every declared setting of a shop is changed, shown, copied and kept in each place that its declaration names.

A setting that is missing here in a place: look at its declaration in ``src/shoal/accounts/shop_settings.py``.
"""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from shoal.accounts.callers import Caller
from shoal.accounts.setting_kinds import Flag, Line, Number, Way
from shoal.accounts.shop_settings import OF_NEW_SHOPS, SETTINGS, Declared, declared_in
from shoal.storage.schema import accounts
from support.servers.doors import Door

EXAMPLES = {
    "timezone": "Europe/Paris",
    "opening_hours": "1-5 09:00-18:00",
    "holidays": "2026-10-01",
    "ai_hours": "6 10:00-12:00",
    "ai_mode": "draft",
    "ai_facts": '[["包邮吗","包邮"]]',
    "proxy": "http://127.0.0.1:1",
}
"""A value of each setting that has a form of its own; a new one with such a form gets a line here."""


def another_value(one: Declared) -> Any:
    """Return a value that a new shop does not have."""
    if one.name in EXAMPLES:
        return EXAMPLES[one.name]
    match one.setting:
        case Flag():
            return not OF_NEW_SHOPS.get(one.name, one.default)
        case Number(most=most):
            return one.value_type(most)
        case Line():
            return "词"
    raise AssertionError(f"EXAMPLES of tests/api/test_declared_settings.py has no value of {one.name}")


VALUES = {name: another_value(one) for name, one in SETTINGS.items()}


async def test_a_setting_is_in_the_answer_the_history_the_file_and_the_row_once_it_is_set(door: Door) -> None:
    await door.server.manager.update_settings("shop", VALUES, caller=Caller(actor="user:admin"))
    shown = (await door.call("GET", "/cookies/shop"))["desired"]
    assert {name: shown[name] for name in declared_in(Way.ANSWER)} == {
        name: VALUES[name] for name in declared_in(Way.ANSWER)
    }
    noted = (await door.call("GET", "/cookies/shop/history"))["items"][0]["changes"]
    assert SETTINGS.keys() <= noted.keys()
    text = (await door.client.get("/export")).text
    written = yaml.safe_load(text)["accounts"]["shop"]["settings"]
    assert written == {name: VALUES[name] for name in declared_in(Way.FILE)}
    columns = {column.name.removesuffix("_sealed") for column in accounts.columns}
    assert SETTINGS.keys() - columns == {"paid_message"}, "it is a rule of deliveries"
    await door.add("other", 2)
    copied = yaml.safe_dump({"version": 1, "accounts": {"other": {"settings": written}}})
    await door.call("POST", "/apply", json={"file": copied})
    other = door.server.manager.account("other")
    assert {name: getattr(other, name) for name in written} == written


@pytest.mark.slow
async def test_a_setting_can_be_changed_alone_and_in_many_shops(door: Door) -> None:
    for way, method, path in ((Way.BODY, "PATCH", "/cookies/shop/settings"), (Way.BATCH, "PUT", "/cookies/batch")):
        for name in declared_in(way):
            before = door.server.manager.account("shop")
            sent = {name: VALUES[name]} if way is Way.BODY else {"accounts": ["shop"], "settings": {name: VALUES[name]}}
            await door.call(method, path, json=sent)
            after = door.server.manager.account("shop")
            assert getattr(after, name) == VALUES[name] != getattr(before, name), (way, name)
            rev = (await door.call("GET", "/cookies/shop/history"))["items"][0]["rev"]
            await door.call("POST", f"/history/{rev}/undo")
            assert getattr(door.server.manager.account("shop"), name) == getattr(before, name), (way, name)


def test_a_setting_that_stands_apart_is_known_by_name() -> None:
    apart = {name for name, one in SETTINGS.items() if {Way.BODY, Way.FILE, Way.ANSWER} & one.setting.out_of}
    assert apart == {"picture", "proxy", "paid_message", *(name for name in SETTINGS if name.startswith("ai_"))}
