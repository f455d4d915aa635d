"""What forbids or limits in today's xianyu-auto-reply is carried over by the plan, or the shop stays off."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from shoal.api.schemas.imports import oddity_sentence
from shoal.language.choice import Language
from shoal.maintenance.moving.old_files import read_old_file
from shoal.maintenance.moving.old_shop import Fate, Oddity
from shoal.maintenance.moving.plan import Here, Kind, Plan
from shoal.maintenance.moving.whole_plan import make_plan
from shoal.rules.matcher import Matcher
from shoal.rules.schedule import Moment
from support.moving.old_database import Rows, an_old_shop
from support.moving.today_database import AI, a_full_database, a_small_database, account, as_dump
from unit.maintenance.test_plan import a_user, planned

NOON = Moment(3, 720)


def of_dump(tmp_path: Path, rows: Rows) -> Plan:
    path, me = tmp_path / "shop.sql", a_user()
    path.write_text(as_dump(rows), encoding="utf-8")
    here = Here(caller=me, users={me.username: me}, emails=frozenset(), accounts={}, taken={})
    return make_plan(read_old_file(path), here)


def odd(plan: Plan, code: str) -> list[Oddity]:
    return [one for one in plan.oddities if one.code == code]


def card(number: int, **values: Any) -> dict[str, Any]:
    return {
        "id": number, "user_id": 1, "name": f"卡{number}", "type": "text", "text_content": "t", "enabled": 1,
        "item_id": None, "is_multi_spec": 0, "spec_name": None, "spec_value": None, **values,
    }  # fmt: skip


def bound(number: int, card_id: int, item_id: str, **values: Any) -> dict[str, Any]:
    own = {"source": "own", "dock_record_id": 0}
    return {"id": number, "user_id": 1, "card_id": card_id, "item_id": item_id, **own, **values}


def test_g1_a_card_becomes_a_rule_only_where_that_system_sent_it(tmp_path: Path) -> None:
    two = {"is_multi_spec": 1, "spec_name": "时长"}
    rows = a_small_database(
        account(1), account(2, owner_id=2),
        xy_cards=[
            card(1), card(2), card(3, enabled=0), card(4, user_id=2), card(5, **two, spec_value="月卡"),
            card(6, **two, spec_value="年卡"), card(7, item_id="105"), card(8, item_id="106"),
        ],
        xy_card_item_relations=[
            bound(1, 1, "101"), bound(2, 2, "101"),  # two that are on: none was sent
            bound(3, 3, "102"), bound(4, 1, "102"),  # of two one is off: the other was sent
            bound(5, 4, "103", source="dock_l1", dock_record_id=9),  # another user's, docked
            bound(6, 4, "104"),  # another user's
            bound(7, 5, "104"), bound(8, 6, "104"),  # one for each spec
            bound(9, 1, "105"),  # with a binding the item that a card names itself does not count
            bound(10, 1, "107"), bound(11, 1, "107", source=None),  # the same card twice is one
        ],
    )  # fmt: skip
    rows["xy_users"].append({**rows["xy_users"][0], "id": 2, "username": "lan", "email": "lan@example.com"})
    plan = of_dump(tmp_path, rows)
    mine, others = plan.accounts
    names = {goods.key: goods.values["name"] for goods in plan.goods}
    found = {(rule.values["item_id"], rule.values["spec"]): names[rule.goods_key] for rule in mine.deliveries}
    assert found == {
        ("102", ""): "卡1", ("104", "时长:月卡"): "卡5", ("104", "时长:年卡"): "卡6", ("105", ""): "卡1",
        ("106", ""): "卡8", ("107", ""): "卡1",
    }  # fmt: skip
    assert others.deliveries == (), "a card of another user is no rule on anybody's shop"
    assert {one.params["item"] for one in odd(plan, "several_cards")} == {"101"}
    assert [one.row for one in odd(plan, "docked_card")] == ["5"]
    assert [one.row for one in odd(plan, "card_of_other_user")] == ["6"]
    assert [one.row for one in odd(plan, "rule_never_ran")] == ["卡7"]
    assert odd(plan, "general_cards")
    assert plan.counts["delivery_rules"]["skipped"] >= 4


def test_g1_a_rule_of_another_user_is_no_rule_on_the_shops_of_the_cards_user(tmp_path: Path) -> None:
    rows = an_old_shop()
    rows["delivery_rules"].append({"id": 3, "keyword": "别人", "card_id": 1, "enabled": 1, "user_id": 2})
    plan = planned(tmp_path, rows)
    assert [one.row for one in odd(plan, "card_of_other_user")] == ["id=3"]
    assert not any(rule.values["title_contains"] == "别人" for one in plan.accounts for rule in one.deliveries)


def test_g1_a_code_that_two_cards_have_waits_in_one_of_them(tmp_path: Path) -> None:
    rows = an_old_shop()
    same = {"type": "data", "user_id": 1, "enabled": 1}
    rows["cards"] += [
        {"id": 3, "name": "停", "data_content": "A-1\nX-1", **same, "enabled": 0},
        {"id": 4, "name": "又", "data_content": "Ｘ-1 \nA-3\nY-1\nY-1", **same, "user_id": 2},
    ]
    plan = planned(tmp_path, rows)
    units = {
        goods.values["name"]: [line.text for part in goods.lines for line in part.lines]
        for goods in plan.goods
        if goods.values["kind"].value == "stock"
    }
    assert units == {"月卡": ["A-1", "A-2", "A-3"], "又": ["Ｘ-1", "Y-1"], "停": []}
    waiting = {one.row: one.params["other"] for one in odd(plan, "unit_twice")}
    assert waiting == {
        "id=4 又 line 2": "id=2 月卡", "id=3 停 line 1": "id=2 月卡", "id=3 停 line 2": "id=4 又",
    }  # fmt: skip
    assert {one.fate for one in odd(plan, "unit_twice")} == {Fate.WAITING}
    assert plan.counts[Kind.UNITS] == {"taken": 5, "waiting": 3, "skipped": 1}
    assert plan.oddities[0].code == "unit_twice", "what somebody must look at stands first"


def test_g1_a_rule_for_all_comes_to_each_shop_of_its_user_switched_off(tmp_path: Path) -> None:
    rule = {"id": 1, "owner_id": 1, "account_id": None, "keyword": "包邮", "reply_content": "包邮", "is_active": 1}
    stray = {**rule, "id": 2, "owner_id": 9, "keyword": "没人"}
    plan = of_dump(tmp_path, a_small_database(account(1), account(2), xy_keyword_rules=[rule, stray]))
    assert [[(one.keyword, one.active) for one in new.draft.keywords] for new in plan.accounts] == [
        [("包邮", False)]
    ] * 2
    assert {one.row: one.fate for one in odd(plan, "rule_for_all")} == {"包邮": Fate.CHANGED, "没人": Fate.SKIPPED}
    assert not odd(plan, "unknown_account")


def test_g1_words_that_got_no_answer_are_rules_without_one_before_all_others(tmp_path: Path) -> None:
    rule = {"owner_id": 1, "account_id": 31, "reply_content": "在", "reply_type": "text", "is_active": 1}
    filters = [
        {"id": number, "account_id": "shop1", "keyword": word, "filter_type": kind, "enabled": enabled}
        for number, (word, kind, enabled) in enumerate(
            [(f"词{number}", "skip_reply", 1) for number in range(60)]
            + [("新种", "skip_all", 1), ("通知", "skip_notify", 1), ("停了", "skip_reply", 0)]
        )
    ]
    plan = of_dump(
        tmp_path,
        a_small_database(
            xy_keyword_rules=[
                {"id": 1, "keyword": "词", "item_id": "10001", **rule},
                {"id": 2, "keyword": "通知", "item_id": "", **rule},
                {"id": 3, "keyword": "停了", "item_id": "", **rule},
            ],
            xy_message_filters=filters,
        ),
    )  # fmt: skip
    matcher = Matcher(plan.accounts[0].draft.keywords)
    for text, item, answered in (
        ("词59", "10001", False), ("词3", None, False), ("新种", None, False), ("词", "10001", True),
        ("通知", None, True), ("停了", None, True),
    ):  # fmt: skip
        rule_found = matcher.first(text, item, NOON)
        assert bool(rule_found is not None and rule_found.parts) is answered, text
    assert len(odd(plan, "filter_is_rule")) == 60
    assert [one.params["word"] for one in odd(plan, "filter_of_other_kind")] == ["新种"]


def test_g1_the_model_of_an_account_comes_off_with_its_hours(tmp_path: Path) -> None:
    plan = of_dump(tmp_path, a_full_database())
    (new,) = plan.accounts
    assert (new.draft.ai_mode, new.draft.ai_hours, new.draft.ai_persona) == ("off", "1-7 09:00-18:00", "热情一点")
    assert new.draft.ai_turns_per_chat == 3
    assert [provider.values["model"] for provider in plan.providers] == [AI["model_name"]]
    assert odd(plan, "ai_ordered_buyers")
    assert odd(plan, "ai_provider_kind")


@pytest.mark.parametrize(
    ("values", "proxy"),
    [
        ({"proxy_type": "socks5", "proxy_host": "proxy.example.com", "proxy_port": 1080},
         "socks5://proxy.example.com:1080"),
        ({"proxy_type": "http", "proxy_host": "::1", "proxy_port": 80, "proxy_user": "u", "proxy_pass": "p/@:"},
         "http://u:p%2F%40%3A@[::1]:80"),
        ({"proxy_type": "none", "proxy_host": "192.0.2.1", "proxy_port": 80}, ""),
        ({"proxy_type": "socks4", "proxy_host": "192.0.2.1", "proxy_port": 80}, None),
        ({"proxy_type": "https", "proxy_host": "192.0.2.1", "proxy_port": 443}, None),
        ({"proxy_type": "http", "proxy_host": "192.0.2.1", "proxy_port": None}, None),
        ({"proxy_type": "http", "proxy_host": "a b/c", "proxy_port": 80}, None),
    ],
)  # fmt: skip
def test_g1_a_proxy_is_carried_over_or_the_shop_stays_off(
    tmp_path: Path, values: dict[str, Any], proxy: str | None
) -> None:
    plan = of_dump(tmp_path, a_small_database(account(1, **values)))
    assert plan.accounts[0].draft.proxy == (proxy or "")
    assert plan.was_on[0].stays_off == ("proxy_unusable" if proxy is None else "")


def test_g1_a_systems_own_proxy_keeps_shops_off_that_have_none(tmp_path: Path) -> None:
    own = {"proxy_type": "http", "proxy_host": "192.0.2.1", "proxy_port": 80}
    rows = a_small_database(
        account(1), account(2, **own), xy_system_settings=[{"key": "proxy.enabled", "value": "true"}]
    )
    assert [one.stays_off for one in of_dump(tmp_path, rows).was_on] == ["system_proxy", ""]


def test_g1_each_line_of_a_full_report_is_a_sentence_in_both_languages(tmp_path: Path) -> None:
    plan = of_dump(tmp_path, a_full_database())
    for one in plan.oddities:
        for language in Language:
            said = oddity_sentence(one, language)
            assert said, one
            assert "{" not in said, one
    assert "canary" not in repr(plan.oddities)
