"""A shop at a site that is as strict as it can be: what ends a check, and what a lever of the sandbox adds."""

from __future__ import annotations

from shoal.accounts.account import AccountState
from support.site.sandboxed import Shoal
from support.site.standins import ANN, until


async def parked_by_risk(shoal: Shoal) -> str:
    """A shop that risk control has stopped once; the site itself forgets nothing. Returns its unb."""
    unb = await shoal.add()
    await shoal.manager.update_cookie_status("shop", False, caller=ANN)
    await shoal.credentials.forget_token("shop")
    await shoal.sandbox.do("fault", account=unb, kind="risk_control", times=1)
    await shoal.manager.update_cookie_status("shop", True, caller=ANN)
    seen = shoal.manager.observation("shop")
    assert (seen.state, seen.reason) == (AccountState.PARKED, "risk_control")
    return unb


async def test_the_old_cookie_meets_the_check_again_and_the_new_one_ends_it(shoal: Shoal) -> None:
    unb = await parked_by_risk(shoal)
    shoal.sandbox.expected.add("proof")
    again = await shoal.manager.resume("shop", caller=ANN)
    assert (again.observation.state, again.observation.reason) == (AccountState.PARKED, "risk_control")
    passed = await shoal.sandbox.do("check", account=unb)
    renewed = await shoal.manager.update_cookie("shop", passed["cookie"], caller=ANN)
    assert renewed.observation.state is AccountState.RUNNING


async def test_the_proof_of_another_browser_is_worth_nothing(shoal: Shoal) -> None:
    unb = await parked_by_risk(shoal)
    shoal.sandbox.expected.add("proof")
    passed = await shoal.sandbox.do("check", account=unb, user_agent="Mozilla/5.0 (X11; Linux x86_64) Firefox/140.0")
    renewed = await shoal.manager.update_cookie("shop", passed["cookie"], caller=ANN)
    assert (renewed.observation.state, renewed.observation.reason) == (AccountState.PARKED, "risk_control")


async def test_a_clock_that_is_hours_off_is_taken_for_a_machine(shoal: Shoal) -> None:
    unb = await shoal.add()
    await shoal.manager.update_cookie_status("shop", False, caller=ANN)
    await shoal.credentials.forget_token("shop")
    shoal.sandbox.expected.add("time")
    await shoal.sandbox.do("clock", advance=30 * 3600.0)
    await shoal.manager.update_cookie_status("shop", True, caller=ANN)
    await until(lambda: shoal.manager.observation("shop").state is AccountState.PARKED)
    assert [line["rule"] for line in (await shoal.sandbox.get("refusals", account=unb))["items"]][:1] == ["time"]


async def test_a_message_from_the_site_is_read_in_every_content_that_is_handed_in(shoal: Shoal) -> None:
    unb = await shoal.add(keywords={"在吗": "hi"})
    chat = await shoal.sandbox.do("say", account=unb, buyer="小鱼", text="在吗")
    assert await shoal.sandbox.seen_soon(unb, "小鱼", 1) == ["hi"]
    payload = {
        "1": {
            "1": {"1": f"{chat['buyer_id']}@goofish"},
            "2": f"{chat['cid']}@goofish",
            "3": "3999999999999.PNM",
            "5": shoal.sandbox.world.clock.now_ms(),
            "6": {"1": 101, "3": {"2": "在吗", "4": 1, "5": '{"contentType":1,"text":{"text":"在吗"}}'}},
            "10": {"reminderContent": "在吗", "senderUserId": chat["buyer_id"], "sessionType": "1"},
        },
        "3": {"needPush": "true"},
    }
    await shoal.sandbox.do("push", account=unb, shape="payload", payload=payload)
    assert await shoal.sandbox.seen_soon(unb, "小鱼", 2) == ["hi", "hi"]
