"""One connection from its registration to its end. The site is a stand-in that needs no socket."""

from __future__ import annotations

import asyncio
import threading

from sqlalchemy import Connection

from shoal.messages.decisions import Decision
from support.site.standins import until
from support.site.without_sockets import OneShop


def paths(shop: OneShop) -> list[str]:
    """The paths of the frames that came, acknowledgements as ``ack``."""
    return [str(frame.get("lwp", "ack")) for frame in shop.site.frames]


async def test_a_connection_registers_agrees_on_its_place_and_beats_before_it_runs(shop: OneShop) -> None:
    await shop.add()
    assert paths(shop)[:4] == ["/reg", "/r/SyncStatus/getState", "/r/SyncStatus/ackDiff", "/!"]


async def test_a_push_is_acknowledged_only_once_it_is_stored(shop: OneShop) -> None:
    await shop.add()
    may_go_on = threading.Event()
    writer = shop.database.group_writer
    held = asyncio.create_task(shop.database.write(lambda _: may_go_on.wait(60)))  # the writer's one thread
    await asyncio.sleep(0)
    await until(lambda: writer.waiting == 0)
    asked = shop.site.says("在吗")
    await until(lambda: writer.waiting > 0)  # the message waits for its turn to be stored
    assert shop.site.acknowledged() == 0
    may_go_on.set()
    assert await held
    await until(lambda: shop.site.acknowledged() == 1)
    await shop.decided(asked, Decision.NO_RULE)


async def test_what_cannot_be_stored_is_not_acknowledged_and_ends_the_connection(shop: OneShop) -> None:
    await shop.add()

    def hide(connection: Connection) -> None:
        connection.exec_driver_sql("ALTER TABLE messages RENAME TO hidden")

    await shop.database.write(hide)
    shop.site.says("在吗")
    await until(lambda: shop.manager.observation("shop").state == "retrying")
    assert shop.site.acknowledged() == 0


async def test_an_unreadable_entry_is_acknowledged_and_ends_nothing(shop: OneShop) -> None:
    await shop.add(keywords={"在吗": "在的"})
    shop.site.garbles()
    await shop.decided(shop.site.says("在吗"), Decision.ANSWERED)
    assert shop.site.acknowledged() == 2


async def test_a_socket_that_ends_is_replaced_with_the_same_token(shop: OneShop) -> None:
    await shop.add(keywords={"在吗": "在的"})
    shop.site.hangs_up()
    await until(lambda: paths(shop).count("/reg") == 2)
    await shop.running()
    await shop.decided(shop.site.says("在吗"), Decision.ANSWERED)
    assert [api for api in shop.site.calls if api.endswith("login.token")] == ["mtop.taobao.idlemessage.pc.login.token"]


async def test_kicked_out_parks_the_account(shop: OneShop) -> None:
    await shop.add()
    shop.site.kicks_out()
    await until(lambda: shop.manager.observation("shop").state == "parked")
    assert shop.manager.observation("shop").reason == "kicked_out"
