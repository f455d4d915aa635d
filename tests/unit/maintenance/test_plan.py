"""The plan of an import: an old database with planted oddities, each of which is told; and whose rows are taken."""

from __future__ import annotations

from pathlib import Path

import pytest

from shoal.api.schemas.imports import oddity_sentence
from shoal.auth.users import Role, User
from shoal.errors import Forbidden, InvalidInput
from shoal.language.choice import Language
from shoal.maintenance.moving.old_files import read_old_file
from shoal.maintenance.moving.plan import Here, Plan
from shoal.maintenance.moving.whole_plan import make_plan
from support.moving.old_database import Rows, an_old_shop, sha256, write_sqlite
from support.site.standins import cookie_of

ODD_COOKIE = "cookie2=x; t=1"
PLANTED: list[tuple[str, dict[str, object], str]] = [
    ("users", {"id": 3, "username": "a/b", "email": "x@y.z", "password_hash": sha256("p")}, "bad_user_name"),
    ("users", {"id": 4, "username": "mei", "email": "no address", "password_hash": sha256("a good one")}, "bad_email"),
    ("users", {"id": 5, "username": "LAN", "email": "m@y.z", "password_hash": sha256("p")}, "user_twice"),
    ("users", {"id": 6, "username": "yu", "email": "lan@example.com", "password_hash": sha256("w")}, "email_taken"),
    ("users", {"id": 7, "username": "hai", "email": "h@y.z", "password_hash": sha256("admin123")}, "default_password"),
    ("users", {"id": 8, "username": "qi", "email": "q@y.z", "password_hash": "$2b$x"}, "password_of_other_kind"),
    ("users", {"id": 9, "username": "off", "email": "o@y.z", "password_hash": sha256("w"), "is_active": 0},
     "user_inactive"),
    ("cookies", {"id": "no unb", "value": ODD_COOKIE, "user_id": 1}, "cookie_incomplete"),
    ("cookies", {"id": "torn", "value": "no pairs at all", "user_id": 1}, "cookie_unreadable"),
    ("cookies", {"id": "a/b", "value": cookie_of(801), "user_id": 1}, "bad_account_id"),
    ("cookies", {"id": "twin", "value": cookie_of(701), "user_id": 1}, "seller_twice"),
    ("cookies", {"id": "nobody's", "value": cookie_of(802), "user_id": 99, "auto_confirm": 0}, "owner_unknown"),
    ("cookies", {"id": "long", "value": cookie_of(803), "user_id": 1, "remark": "长" * 300, "auto_confirm": 0},
     "remark_cut"),
    ("cookies", {"id": "slow", "value": cookie_of(804), "user_id": 1, "pause_duration": 600, "auto_confirm": 0},
     "pause_changed"),
    ("cookies", {"id": "sure", "value": cookie_of(805), "user_id": 1, "auto_confirm": 1}, "auto_confirm_on"),
    ("cookies", {"id": "typed", "value": cookie_of(806), "user_id": 1, "auto_confirm": 0, "password": "secret"},
     "site_password"),
    ("cookie_status", {"cookie_id": "gone", "enabled": 1}, "unknown_account"),
    ("keywords", {"cookie_id": "gone", "keyword": "x", "reply": "y"}, "unknown_account"),
    ("keywords", {"cookie_id": "afu", "keyword": "价格", "reply": "again"}, "rule_twice"),
    ("keywords", {"cookie_id": "afu", "keyword": "  ", "reply": "y"}, "rule_without_keyword"),
    ("keywords", {"cookie_id": "afu", "keyword": "长" * 201, "reply": "y"}, "rule_too_long"),
    ("keywords", {"cookie_id": "afu", "keyword": "商品", "reply": "y", "item_id": "10/01"}, "bad_item_id"),
    ("keywords", {"cookie_id": "afu", "keyword": "图", "type": "image", "image_url": "/static/uploads/images/a.jpg"},
     "picture_not_here"),
    ("keywords", {"cookie_id": "afu", "keyword": "远", "type": "image", "image_url": "https://example.com/a.jpg"},
     "picture_elsewhere"),
    ("default_replies", {"cookie_id": "bei", "enabled": 1, "reply_content": ""}, "default_reply_empty"),
    ("default_replies", {"cookie_id": "lan1", "enabled": 1, "reply_content": "长" * 4001}, "reply_too_long"),
    ("item_replay", {"id": 2, "item_id": "10001", "cookie_id": "afu", "reply_content": "旧", "updated_at": "2020"},
     "item_reply_older"),
    ("item_replay", {"id": 3, "item_id": "auto_9", "cookie_id": "afu", "reply_content": "x"}, "made_up_item"),
    ("item_info", {"id": 1, "cookie_id": "bei", "item_id": "10009", "multi_quantity_delivery": 0},
     "each_piece_is_served"),
    ("item_info", {"id": 2, "cookie_id": "afu", "item_id": "auto_1"}, "made_up_item"),
    ("cards", {"id": 3, "name": "怪", "type": "video", "user_id": 1}, "unknown_card_type"),
    ("cards", {"id": 4, "name": "接口", "type": "api", "api_config": "{", "user_id": 1}, "card_refused"),
    ("cards", {"id": 5, "name": "空", "type": "data", "data_content": "", "user_id": 1}, "card_empty"),
    ("cards", {"id": 6, "name": "停", "type": "text", "text_content": "x", "enabled": 0, "user_id": 1}, "card_off"),
    ("cards", {"id": 7, "name": "双", "type": "data", "data_content": "B-1\nB-1\n", "user_id": 1}, "lines_twice"),
    ("cards", {"id": 8, "name": "长", "type": "data", "data_content": "C" * 3000, "user_id": 1}, "unit_refused"),
    ("delivery_rules", {"id": 3, "keyword": "x", "card_id": 77, "user_id": 1}, "unknown_card"),
    ("delivery_rules", {"id": 4, "keyword": "x", "card_id": 4, "user_id": 1}, "card_not_taken"),
    ("delivery_rules", {"id": 5, "keyword": "停", "card_id": 1, "enabled": 0, "user_id": 1}, "delivery_rule_off"),
    ("delivery_rules", {"id": 6, "keyword": "", "card_id": 1, "user_id": 1}, "delivery_rule_for_all"),
    ("delivery_rules", {"id": 7, "keyword": "资料", "card_id": 2, "user_id": 1}, "delivery_rule_twice"),
    ("delivery_rules", {"id": 8, "keyword": "多", "card_id": 2, "delivery_count": 900, "user_id": 1}, "count_changed"),
    ("orders", {"order_id": "9/1", "cookie_id": "afu", "order_status": "shipped"}, "bad_order_id"),
    ("orders", {"order_id": "9002", "cookie_id": "afu", "order_status": "weird"}, "order_status_unknown"),
    ("orders", {"order_id": "9003", "cookie_id": "gone"}, "unknown_account"),
    ("ai_reply_settings", {"cookie_id": "afu", "ai_enabled": 1, "api_key": "sk-secret"}, "ai_was_on"),
    ("notification_channels", {"id": 2, "name": "Q", "user_id": 1, "type": "qq", "config": "12345678"},
     "channel_refused"),
    ("notification_channels", {"id": 3, "name": "哑", "user_id": 1, "type": "bark",
      "config": '{"device_key": "kkkkkkkkkkkkkkkkkkkkkk"}'},
     "channel_tells_nothing"),
    ("message_notifications", {"id": 2, "cookie_id": "afu", "channel_id": 9}, "unknown_channel"),
    ("system_settings", {"key": "smtp_password", "value": "secret"}, "setting_unknown_here"),
]  # fmt: skip
"""A row of the old database each, and the code under which it must be reported."""


def a_user(name: str = "admin", role: Role = Role.ADMIN, number: int = 1) -> User:
    return User(
        id=number, username=name, email=None, role=role, active=True, created_at_ms=0, updated_at_ms=0, leaving=False,
        has_totp=False, signed_in_at_ms=None,
    )  # fmt: skip


def planned(tmp_path: Path, rows: Rows, me: User | None = None, **options: str) -> Plan:
    me = me or a_user()
    path = tmp_path / "old.db"
    path.unlink(missing_ok=True)
    here = Here(caller=me, users={me.username: me}, emails=frozenset(), accounts={}, taken={})
    return make_plan(read_old_file(write_sqlite(path, rows)), here, only_user=options.get("only_user", ""))


def codes(plan: Plan) -> list[str]:
    return sorted(odd.code for odd in plan.oddities)


def test_each_planted_oddity_is_reported_and_none_is_silent(tmp_path: Path) -> None:
    assert len(PLANTED) >= 40
    before = codes(planned(tmp_path, an_old_shop()))
    silent = []
    for table, row, code in PLANTED:
        rows = an_old_shop()
        rows["cards"].append({"id": 4, "name": "接口", "type": "api", "api_config": "{", "user_id": 1})
        rows.setdefault(table, []).append(row)
        told = codes(planned(tmp_path, rows))
        if told.count(code) <= before.count(code):
            silent.append((table, code, told))
    assert not silent


def test_all_of_them_together_are_reported_with_a_sentence_in_both_languages(tmp_path: Path) -> None:
    rows = an_old_shop()
    for table, row, _ in PLANTED:
        rows.setdefault(table, []).append(row)
    plan = planned(tmp_path, rows)
    assert {code for _, _, code in PLANTED} <= set(codes(plan))
    for odd in plan.oddities:
        for language in Language:
            sentence = oddity_sentence(odd, language)
            assert sentence, odd
            assert "{" not in sentence, odd
    shown = repr(plan.oddities)
    assert "sk-secret" not in shown


def test_a_database_without_oddities_is_taken_whole(tmp_path: Path) -> None:
    plan = planned(tmp_path, an_old_shop())
    assert codes(plan) == ["administrator_is_you"]
    assert {kind: dict(fates) for kind, fates in plan.counts.items()} == {
        "users": {"taken": 1, "changed": 1}, "accounts": {"taken": 3}, "rules": {"taken": 3},
        "default_replies": {"taken": 1}, "item_replies": {"taken": 1}, "cards": {"taken": 2}, "units": {"taken": 3},
        "delivery_rules": {"taken": 2}, "orders": {"taken": 1}, "channels": {"taken": 1},
    }  # fmt: skip
    assert not any(account.draft.enabled for account in plan.accounts)
    assert [one.id for one in plan.was_on][:2] == ["afu", "lan1"]
    afu = plan.accounts[0]
    assert [rule.values["title_contains"] for rule in afu.deliveries] == ["资料", "月卡"]
    assert afu.deliveries[1].values["parts"] == [{"text": "卡密：{codes}"}]
    assert (afu.deliveries[1].values["count"], afu.deliveries[1].values["delay_seconds"]) == (2, 3)
    assert afu.answered_chats == ("55501",)


@pytest.mark.parametrize("most", [0, 1, 2, 3])
def test_no_more_shops_come_than_the_caller_may_have(tmp_path: Path, most: int) -> None:
    me, shops = a_user(), [{"id": f"s{number}", "value": cookie_of(number), "user_id": 1} for number in range(1, 4)]
    old = read_old_file(write_sqlite(tmp_path / "old.db", {"cookies": shops}))
    here = Here(caller=me, users={"admin": me}, emails=frozenset(), accounts={}, taken={}, most_shops=most)
    plan = make_plan(old, here)
    assert [account.draft.id for account in plan.accounts] == [row["id"] for row in shops][:most]
    assert [odd.row for odd in plan.oddities if odd.code == "too_many_shops"] == [row["id"] for row in shops][most:]


def test_d3_one_row_that_clashes_keeps_no_other_row_out(tmp_path: Path) -> None:
    rows = an_old_shop()
    me = a_user()
    path = write_sqlite(tmp_path / "old.db", rows)
    old = read_old_file(path)
    whole = make_plan(old, Here(caller=me, users={"admin": me}, emails=frozenset(), accounts={}, taken={}))
    there = {"afu": whole.accounts[0].draft.evolve(owner_id=1)}
    plan = make_plan(old, Here(caller=me, users={"admin": me}, emails=frozenset(), accounts=there, taken={}))
    assert "account_exists" in codes(plan)
    assert [account.draft.id for account in plan.accounts] == ["bei", "lan1"]
    assert plan.counts["cards"] == {"taken": 2}
    assert plan.counts["rules"] == {"taken": 1, "skipped": 2}


def test_others_than_administrators_take_only_what_is_theirs(tmp_path: Path) -> None:
    lan = a_user("lan", Role.OWNER, 5)
    plan = planned(tmp_path, an_old_shop(), lan)
    assert [(account.draft.id, account.owner) for account in plan.accounts] == [("lan1", "lan")]
    assert (plan.users, plan.goods, plan.channels) == ((), (), ())
    assert codes(plan).count("other_user") == 1
    stranger = a_user("stranger", Role.OWNER, 6)
    with pytest.raises(InvalidInput) as caught:
        planned(tmp_path, an_old_shop(), stranger)
    assert caught.value.code == "moving_choose_user"
    chosen = planned(tmp_path, an_old_shop(), stranger, only_user="Lan")
    assert [(account.draft.id, account.owner) for account in chosen.accounts] == [("lan1", "stranger")]
    with pytest.raises(Forbidden):
        planned(tmp_path, an_old_shop(), a_user("staff", Role.STAFF, 7))


def test_an_unknown_user_is_said_so_with_the_one_who_is_most_like_it(tmp_path: Path) -> None:
    rows = an_old_shop()
    rows["users"].append({"id": 9, "username": " ", "email": "n@y.z", "password_hash": "x"})
    with pytest.raises(InvalidInput) as caught:
        planned(tmp_path, rows, only_user="Laan")
    assert (caught.value.code, caught.value.params["near"]) == ("moving_unknown_user/near", "lan")
    assert caught.value.params["names"] == "admin, lan", "who has no name cannot be chosen"
    with pytest.raises(InvalidInput) as caught:
        planned(tmp_path, rows, only_user="somebody else")
    assert caught.value.code == "moving_unknown_user"
    assert {plan.owner for plan in planned(tmp_path, rows, only_user="  ").accounts} == {"admin", "lan"}


def test_what_is_said_of_a_part_of_a_row_counts_no_row_as_left_out(tmp_path: Path) -> None:
    rows = an_old_shop()
    for row in rows["cookies"]:
        row["password"] = "the one of the site"
    plan = planned(tmp_path, rows)
    (said,) = [odd for odd in plan.oddities if odd.code == "site_password"]
    assert (said.row, said.params["count"]) == ("password: afu, bei, lan1", 3)
    assert plan.counts["accounts"] == {"taken": len(rows["cookies"])}
