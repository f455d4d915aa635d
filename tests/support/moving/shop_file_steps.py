"""Shops for tests of the file of shops: drawn ones, written as a file and changed by one."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from hypothesis import strategies as st

from shoal.accounts import edits
from shoal.accounts.account import Account
from shoal.accounts.delivery_rule import Deliveries, DeliveryRule, folded_spec
from shoal.accounts.item_setting import ItemSetting
from shoal.language.folding import folded_word
from shoal.maintenance.shop_file.export import file_of, shop_row, written_yaml
from shoal.maintenance.shop_file.reading import read_file
from shoal.maintenance.shop_file.sections import Faults, Sections
from shoal.rules.rule import MatchMode, Part, Rule, WordMode
from shoal.rules.schedule import Span

SHOP = Account(
    id="shop", owner_id=1, unb="2200000000001", cookie="unb=2200000000001; cookie2=s", proxy="http://u:pw@h:1"
)
GOODS = {7: "月卡", 8: "yes"}


class Here:
    """A server that has the goods, and pictures of one size."""

    async def users(self) -> Mapping[int, str]:
        return {}

    async def goods(self, owner_id: int) -> Mapping[int, str]:
        return GOODS

    async def measured(self, values: dict[str, Any]) -> dict[str, Any]:
        for part in values["parts"]:
            if "image_url" in part:
                part |= {"width": 3, "height": 2}
        return values

    async def require_own_goods(self, account: Account, rules: Deliveries) -> None:
        pass


async def applied_to(account: Account, text: str, *, prune: bool = False) -> Account:
    """The account after the file."""
    file = read_file(text)
    faults = Faults(file)
    sections = Sections(
        account=account, part=file.shops[account.id], goods=GOODS, here=Here(), faults=faults, prune=prune,
        new_ids=lambda number: [f"new{one}" for one in range(number)],
    )  # fmt: skip
    edit = await sections.edit()
    assert faults.found == []
    return await edits.apply_edit(edit, account)


def applied(account: Account, text: str, *, prune: bool = False) -> Account:
    """The same, outside of a loop."""
    return asyncio.run(applied_to(account, text, prune=prune))


def exported(account: Account) -> str:
    """The account as a file."""
    return written_yaml(file_of([shop_row(account, GOODS, {"ann": "reply"})]), schema_url="http://x/s.json")


storable = st.characters(exclude_characters="\x00", exclude_categories=["Cs"])
texts = st.one_of(
    st.sampled_from([
        "yes", "no", "null", "~", "", "12:30", "0o7", "1_000", "- a", "a: b", "#x", "'", '"', "a\nb", " a ", "a\n",
        "\na", "a\r\nb", "\ta", "😀", "a\x85b", "a\u2028b", "\ufeff", "{x}", "=", "<<", "!t", "&a", "*a", "a\n\n b",
        "%", "@", "`", "|", ">", "a \nb", "…", "1e5", ".5", "0x1f", "\x1b[0m",
    ]),
    st.text(storable, max_size=40),
)  # fmt: skip
filled = texts.filter(lambda text: bool(folded_word(text.strip()).strip()))
spans = st.builds(
    Span,
    weekdays=st.sets(st.integers(1, 7), min_size=1).map(lambda days: tuple(sorted(days))),
    start=st.sampled_from(["00:00", "09:30"]),
    end=st.sampled_from(["24:00", "08:00"]),
)
parts = st.one_of(
    st.builds(Part, text=texts.filter(bool)),
    st.builds(
        Part,
        image_url=st.sampled_from(["/static/uploads/images/a.png", "https://img.alicdn.com/x.png"]),
        width=st.sampled_from([0, 3]),
        height=st.sampled_from([0, 2]),
    ),
)
rules = st.builds(
    Rule,
    id=st.text("abc0", min_size=1, max_size=3),
    words=st.lists(filled.map(str.strip), min_size=1, max_size=3, unique=True).map(tuple),
    word_mode=st.sampled_from(WordMode),
    match_mode=st.sampled_from([MatchMode.CONTAINS, MatchMode.EXACT, MatchMode.WHOLE_WORD]),
    item_ids=st.lists(st.sampled_from(["1", "007", "9" * 12]), unique=True).map(tuple),
    priority=st.integers(-3, 3),
    schedule=st.lists(spans, max_size=2, unique=True).map(tuple),
    parts=st.lists(parts, max_size=2).map(tuple),
    delay_seconds=st.sampled_from([(0.0, 0.0), (1.0, 2.5)]),
    cooldown_seconds=st.sampled_from([0, 60]),
    active=st.booleans(),
    position=st.integers(0, 3),
)
deliveries = st.builds(
    DeliveryRule,
    item_id=st.sampled_from(["", "1", "007"]),
    spec=st.sampled_from(["", "时长:月卡", "yes", "a:1;b:2"]).map(folded_spec),
    goods_id=st.sampled_from([None, 7, 8, 9]),
    parts=st.lists(parts, max_size=2).map(tuple),
    nothing_to_send=st.booleans(),
    delay_seconds=st.sampled_from([0, 5]),
    confirm=st.sampled_from([None, "yes", "no", 2]),
)


def one_key_each(found: list[Rule]) -> tuple[Rule, ...]:
    """No two simple rules of the same word: they cannot be in one account."""
    kept: dict[object, Rule] = {}
    for rule in found:
        kept.setdefault(rule.key if rule.is_simple else rule.id, rule)
    return tuple({rule.id: rule for rule in kept.values()}.values())


accounts = st.builds(
    lambda rules, items, deliveries, **values: SHOP.evolve(keywords=rules, **values).evolve(items=items).evolve(
        deliveries=deliveries
    ),
    rules=st.lists(rules, max_size=5).map(one_key_each),
    items=st.lists(
        st.builds(
            ItemSetting,
            item_id=st.sampled_from(["1", "007", "no"]),
            reply=texts,
            facts=texts.map(str.strip),
            floor_fen=st.sampled_from([None, 0, 2_500]),
        ),
        unique_by=lambda one: one.item_id,
    ).map(lambda found: tuple(sorted(found, key=lambda one: one.item_id))),
    deliveries=st.lists(deliveries, max_size=4, unique_by=lambda rule: rule.place).map(tuple),
    enabled=st.booleans(), remark=texts, name=texts, timezone=st.sampled_from(["", "Asia/Tokyo"]),
    pause_duration=st.integers(0, 60), debounce_seconds=st.sampled_from([None, 0.0, 2.5]),
    buyer_replies_per_hour=st.sampled_from([None, 0, 9]), default_reply=texts, default_reply_enabled=st.booleans(),
    auto_confirm=st.booleans(),
)  # fmt: skip
