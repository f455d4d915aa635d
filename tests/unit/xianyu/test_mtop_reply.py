import pytest

from shoal.xianyu.mtop_reply import Meaning, judge

PUNISH = "https://h5api.m.goofish.com:443//h5/x/1.0/_____tmd_____/punish?x5secdata=abc&x5step=2&action=captcha"


@pytest.mark.parametrize(
    ("ret", "meaning"),
    [
        (["SUCCESS::调用成功"], Meaning.OK),
        (["FAIL_SYS_TOKEN_EMPTY::令牌为空"], Meaning.TOKEN),
        (["FAIL_SYS_TOKEN_EXOIRED::令牌过期"], Meaning.TOKEN),
        (["FAIL_SYS_TOKEN_EXPIRED::令牌过期"], Meaning.TOKEN),
        (["FAIL_SYS_SESSION_EXPIRED::Session过期"], Meaning.SESSION),
        (["X::会话过期"], Meaning.SESSION),
        (["FAIL_SYS_USER_VALIDATE"], Meaning.RISK),
        (["RGV587_ERROR::SM::哎哟喂,被挤爆啦,请稍后重试!"], Meaning.RISK),
        (["FAIL_SYS_ILLEGAL_ACCESS::非法访问"], Meaning.RISK),
        (["哎哟喂,被挤爆啦,请稍后重试!"], Meaning.RISK),
        (["FAIL_SYS_TOKEN_EXOIRED::令牌过期", "FAIL_SYS_SESSION_EXPIRED::Session过期"], Meaning.SESSION),
        (["FAIL_SYS_SESSION_EXPIRED::Session过期", "FAIL_SYS_USER_VALIDATE"], Meaning.RISK),
        (["SUCCESS::调用成功", "FAIL_SYS_USER_VALIDATE"], Meaning.RISK),
        (["FAIL_BIZ_BUSY::系统繁忙,请稍后重试"], Meaning.REFUSED),
        (["FAIL_BIZ_ITEM_NOT_FOUND::宝贝不存在"], Meaning.REFUSED),
        (["FAIL_BIZ_X::x", "SUCCESS::调用成功"], Meaning.REFUSED),
        (["FAIL_SYS_ILLEGAL_REQUEST::sign"], Meaning.REFUSED),
        (["FAIL_SYS_FLOWLIMIT::x"], Meaning.BUSY),
        (["FAIL_SYS_SERVICE_TIMEOUT::x"], Meaning.FAULT),
        ([], Meaning.UNREADABLE),
        (None, Meaning.UNREADABLE),
        ([5, None, {}], Meaning.UNREADABLE),
        ("SUCCESS::调用成功", Meaning.OK),
    ],
)
def test_b13_every_entry_counts_and_the_worst_decides(ret: object, meaning: Meaning) -> None:
    assert judge({"ret": ret, "data": {}}).meaning is meaning


def test_an_address_of_the_check_is_risk_and_is_kept() -> None:
    verdict = judge({"ret": ["FAIL_BIZ_X::x"], "data": {"url": PUNISH}})
    assert verdict.meaning is Meaning.RISK
    assert verdict.url == PUNISH
    assert PUNISH not in repr(verdict)


def test_an_address_in_a_successful_reply_is_not_risk() -> None:
    assert judge({"ret": ["SUCCESS::调用成功"], "data": {"url": "https://a.example/validate"}}).meaning is Meaning.OK


@pytest.mark.parametrize("url", ["javascript:punish()", 5, "https://punish" + "x" * 9000])
def test_only_a_web_address_is_shown(url: object) -> None:
    assert judge({"ret": ["FAIL_SYS_USER_VALIDATE"], "data": {"url": url}}).url == ""
