"""The newest lines of the log: each for whom it concerns, none with a secret."""

from __future__ import annotations

import io
import logging
from collections.abc import AsyncIterator, Iterator

import pytest
import structlog

from shoal.auth.permission import Permission
from shoal.logs.log_lines import MOST_LINES, NEWEST, LogLines
from shoal.logs.logs import configure_logging
from support.runs.log_setup import log_restored
from support.servers.doors import Door, another_person
from support.site.standins import cookie_of, until


@pytest.fixture(autouse=True)
def logged() -> Iterator[io.StringIO]:
    """The process's log as ``shoal serve`` sets it up, and as it was afterwards."""
    NEWEST.clear()
    stream = io.StringIO()
    with log_restored():
        configure_logging(stream=stream)
        structlog.configure(
            cache_logger_on_first_use=False
        )  # else the loggers of the modules would speak here for ever
        yield stream
    NEWEST.clear()


@pytest.fixture
async def bob(door: Door) -> AsyncIterator[Door]:
    async with another_person(door) as other:
        await other.add("bobs", 2)
        yield other


async def _messages(door: Door, query: str = "") -> list[str]:
    body = await door.call("GET", f"/logs{query}")
    assert body["success"] is True
    return [row["message"] for row in body["logs"]]


async def test_d7_the_log_shows_everybody_the_lines_of_their_own_accounts_only(door: Door, bob: Door) -> None:
    log = structlog.get_logger("shoal.test")
    log.info("of the shop", account="shop")
    log.info("of bob's", account="bobs")
    log.info("of both", accounts=["shop", "bobs"])
    log.info("of the server")
    mine = [line for line in await _messages(door) if line.startswith("of ")]
    assert mine == ["of the shop account=shop", "of the server"]
    assert [line for line in await _messages(bob) if line.startswith("of ")] == ["of bob's account=bobs"]
    await door.server.authorization.give(door.account(), 2, Permission.OPERATE, given_by="user:admin")
    assert not any("account=shop" in line or "of both" in line for line in await _messages(bob))
    async with another_person(door, "carl") as carl:
        assert await _messages(carl) == []


async def test_f14_of_a_line_about_a_shop_of_others_the_administrator_sees_only_that_there_is_one(
    door: Door, bob: Door
) -> None:
    await bob.add("小鱼 的店", 3)
    log = structlog.get_logger("shoal.test")
    log.info("of the shop", account="shop", text="hello")
    log.info("of bob's", account="bobs", text="what a buyer wrote")
    log.info("of both", accounts=["shop", "bobs"])
    log.info("asked", path="/cookies/bobs/details")
    log.info("asked", path="/cookies/%E5%B0%8F%E9%B1%BC%20%E7%9A%84%E5%BA%97")
    logging.getLogger("somebody").warning("no answer for 'bobs', giving up")
    log.info("of the server", words="bobsled")
    body = await door.call("GET", "/logs?source=shoal.test")
    said = [line["message"] for line in body["logs"]]
    assert said == ["of the shop account=shop text=hello", *["***"] * 4, "of the server words=bobsled"]
    assert {line["function"] for line in body["logs"]} == {
        "test_f14_of_a_line_about_a_shop_of_others_the_administrator_sees_only_that_there_is_one"
    }
    assert await _messages(door, "?source=somebody") == ["***"]
    assert "what a buyer wrote" not in str(await _messages(door))
    assert await _messages(bob, "?source=shoal.test") == ["of bob's account=bobs text=what a buyer wrote"]
    await bob.call("DELETE", "/cookies/bobs")
    await until(lambda: "bobs" not in door.server.manager.tasks)
    assert await _messages(door, "?source=somebody") == ["***"]


async def test_d7_no_line_holds_a_cookie_or_a_token(door: Door) -> None:
    secret = "s3cr3t5"
    structlog.get_logger("shoal.test").warning("got it", account="shop", cookie=cookie_of(1, secret=secret))
    logging.getLogger("somebody").warning("Cookie: %s", cookie_of(1, secret=secret))
    lines = await _messages(door)
    assert any(line.startswith("got it") for line in lines)
    assert secret not in str(lines)


async def test_what_was_written_of_an_earlier_account_of_that_id_is_not_told(door: Door, bob: Door) -> None:
    structlog.get_logger("shoal.test").info("of bob's first", account="bobs")
    assert "of bob's first account=bobs" in await _messages(bob)
    await bob.call("DELETE", "/cookies/bobs")
    await until(lambda: "bobs" not in door.server.manager.tasks)
    await door.add("bobs", 3)
    assert not any("first" in line for line in [*await _messages(door), *await _messages(bob)])


async def test_the_newest_lines_by_level_and_source(door: Door) -> None:
    log = structlog.get_logger("shoal.test")
    for number in range(5):
        log.info("line", account="shop", number=number)
    log.error("bad", account="shop")
    body = await door.call("GET", "/logs?lines=2&source=shoal.test")
    first, last = body["logs"]
    assert (first["message"], last["message"]) == ("line account=shop number=4", "bad account=shop")
    assert (last["level"], last["source"]) == ("ERROR", "shoal.test")
    assert last["function"] == "test_the_newest_lines_by_level_and_source"
    assert last["line"] > 0
    assert last["timestamp"].endswith("Z")
    assert await _messages(door, "?level=error&source=shoal.test") == ["bad account=shop"]
    await door.call("GET", "/logs?lines=0", 422)


def test_only_so_many_lines_are_kept() -> None:
    lines = LogLines()
    for number in range(MOST_LINES + 10):
        lines.keep({"event": str(number)}, function="f", line=1)
    assert (len(list(lines)), next(iter(lines)).message) == (MOST_LINES, "10")


async def test_figures_and_texts_of_the_log_are_of_the_lines_that_one_may_see(door: Door, bob: Door) -> None:
    log = structlog.get_logger("shoal.sight")
    log.error("of the shop", account="shop")
    log.error("of bob's", account="bobs")
    log.warning("of the server")
    figures = (await bob.call("GET", "/logs/stats"))["stats"]
    assert figures["source_counts"]["shoal.sight"] == 1
    assert figures["total_logs"] == sum(figures["level_counts"].values()) == len(await _messages(bob))
    everything = (await door.call("GET", "/logs/stats"))["stats"]
    assert everything["source_counts"]["shoal.sight"] == 3
    assert (everything["max_capacity"], everything["log_file"]) == (MOST_LINES, "")
    said = await door.call("GET", "/admin/logs?level=error")
    assert said["total_lines"] == len(said["logs"]) == 2
    assert [line.partition(" - ")[2] for line in said["logs"]] == ["of the shop account=shop", "***"]
    assert " | ERROR | shoal.sight:" in said["logs"][0]
    await bob.call("GET", "/admin/logs", 403)
