"""One seller's number in two shops of different owners, against the real sandbox and a real database."""

from __future__ import annotations

from shoal.accounts.account import AccountState
from support.site.sandboxed import Shoal
from support.site.standins import ANN, cookie_of, until


async def test_f8_two_rows_of_one_number_have_one_connection_and_a_buyer_one_answer(shoal: Shoal) -> None:
    seller = next(iter(shoal.sandbox.world.sellers.values()))
    number = seller.unb
    junk = f"unb={number}; cookie2=made-up; _m_h5_tk={1:032x}_1900000000000; _m_h5_tk_enc={1:032x}"
    await shoal.manager.add_cookie("junk", junk, owner_id=2, caller=ANN)
    await until(lambda: shoal.manager.observation("junk").state is AccountState.PARKED)
    assert number not in shoal.manager.number_holders
    assert await shoal.add(keywords={"在吗": "在的"}) == number
    assert shoal.manager.number_holders == {number: "shop"}

    async def squat(secret: str) -> None:
        cookie = shoal.sandbox.world.cookie_header(seller) + f"; extra={secret}"  # true, and their own by now
        await shoal.manager.update_cookie("junk", cookie, caller=ANN)
        await shoal.manager.update_keywords("junk", [("在吗", "我也在")], caller=ANN)

    await squat("1")
    await shoal.sandbox.do("say", account=number, buyer="小鱼", text="在吗")
    assert await shoal.sandbox.seen_soon(number, "小鱼", 1) == ["在的"]
    await shoal.close()
    await shoal.open()
    await until(lambda: shoal.manager.observation("shop").state is AccountState.RUNNING)
    assert shoal.manager.observation("junk").reason == "number_taken"
    await squat("2")
    await shoal.sandbox.do("say", account=number, buyer="小鱼", text="在吗")
    assert await shoal.sandbox.seen_soon(number, "小鱼", 2) == ["在的", "在的"]
    assert (await shoal.sandbox.sockets(number))["max"] == 1
    await shoal.manager.remove_cookie("shop", caller=ANN)
    await until(lambda: shoal.manager.observation("junk").state is AccountState.RUNNING)
    assert shoal.manager.number_holders == {number: "junk"}
    await shoal.sandbox.do("say", account=number, buyer="北方", text="在吗")
    assert await shoal.sandbox.seen_soon(number, "北方", 1) == ["我也在"]
    assert (await shoal.sandbox.sockets(number))["max"] == 1


async def test_f8_a_number_that_the_site_refuses_is_held_by_nobody(shoal: Shoal) -> None:
    await shoal.manager.add_cookie("dead", cookie_of(4711), owner_id=2, caller=ANN)
    await until(lambda: shoal.manager.observation("dead").state is AccountState.PARKED)
    assert await shoal.store.number_holders() == {}
