"""A shop that another server runs: its state, its waits and its end are those of the server that runs it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from shoal.accounts.account import Account, AccountState, ParkReason
from shoal.accounts.account_task import Link
from shoal.accounts.backoff import Backoff
from shoal.api.routes.live_facts import DIAGNOSE
from shoal.api.routes.node_calls import NODE_OPERATIONS, OPERATIONS
from shoal.api.routes.ops import OPS
from shoal.api.schemas.responses import rfc3339
from shoal.clock import now_ms
from shoal.cluster import cluster_ownership
from shoal.cluster.lease_watchdog import boot_clock
from shoal.cluster.node_calls import AnswerLost
from shoal.cluster.node_watch import WATCH, NodeWatch
from shoal.errors import ActionRequired
from shoal.storage.idempotency_keys import KeyedRequest
from shoal.xianyu.push_events import UnknownEvent
from support.databases.postgres_server import Postgres
from support.servers.door_pairs import DoorPair, open_door_pair
from support.servers.doors import Door
from support.site.standins import ANN, cookie_of, until, until_told


@pytest.fixture
async def pair(url: str, tmp_path: Path) -> AsyncIterator[DoorPair]:
    async with open_door_pair(tmp_path, url) as opened, opened.answering():
        yield opened


async def switch(pair: DoorPair, enabled: bool, **more: Any) -> Any:
    """Switch the shop at the server that does not run it."""
    return await pair.other.call("PUT", "/cookies/shop/status", json={"enabled": enabled}, **more)


async def test_a_switch_waits_for_the_server_that_runs_the_shop_and_tells_its_state(pair: DoorPair) -> None:
    site = pair.owner.site
    assert (await switch(pair, False))["state"] == "stopped"
    assert site.live["shop"] == 0, "it had ended before the answer"
    assert (await switch(pair, True))["state"] == "running"
    assert (site.live["shop"], pair.other.site.ever) == (1, {}), "and it never ran here"
    shown = await pair.other.call("GET", "/cookies/shop")
    own = await pair.owner.call("GET", "/cookies/shop")
    assert (shown["state"], shown["node"]) == ("running", "b")
    assert {**shown, "observed": None} == {**own, "observed": None}
    (row,) = await pair.other.call("GET", "/cookies/details")
    assert (row["state"], row["node"]) == ("running", "b")
    assert (await pair.other.call("GET", "/system/status"))["accounts"] == {"running": 1}
    for door, wanted in ((pair.other, 0), (pair.owner, 1)):
        assert (await door.call("GET", "/health/ready"))["accounts"]["wanted"] == wanted, "a server counts its own"
    batch = await pair.other.call("PUT", "/cookies/status?wait=60", json={"updates": {"shop": False}})
    assert [row["state"] for row in batch["results"]] == ["stopped"]


async def test_on_said_again_wakes_the_shop_where_it_waits_and_off_and_on_lets_a_parked_one_try_again(
    pair: DoorPair, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The back-off of a failed start is so long that only the word of its owner ends it."""
    monkeypatch.setattr(Backoff, "failed", lambda *_, **__: 36_000.0)
    site = pair.owner.site
    heard: list[str] = []

    async def fails(account: Account, link: Link) -> None:
        heard.append("tried")
        raise ConnectionError

    site.behave = fails
    await switch(pair, False)
    assert (await switch(pair, True))["state"] == "retrying"
    site.behave, tried = None, len(heard)
    again = await switch(pair, True)
    assert (again["changed"], again["state"], len(heard)) == (False, "running", tried)

    async def parks(account: Account, link: Link) -> None:
        raise ActionRequired(ParkReason.RISK_CONTROL, "a check")

    site.behave = parks
    await switch(pair, False)
    assert (await switch(pair, True))["state"] == "parked"
    assert (await pair.other.call("GET", "/cookies/shop"))["reason"] == "risk_control"
    refused = await pair.other.call("POST", "/cookies/shop/resume", 409)
    assert refused["code"] == "cookie_unchanged", "which only the park record tells"
    site.behave = None
    await switch(pair, False)
    assert (await switch(pair, True))["state"] == "running"


async def test_a_deleted_shop_is_told_to_be_gone_only_once_its_server_has_seen_it_off(pair: DoorPair) -> None:
    released = pair.owner.site.hold_farewells()
    answer = await pair.other.call("DELETE", "/cookies/shop?wait=0.3")
    assert (answer["msg"], answer["purged"]) == ("removing", False)
    refused = await pair.other.call("POST", "/cookies", 409, json={"id": "shop", "value": cookie_of(1)})
    assert refused["code"] == "account_vanishing"
    released.set()
    await until(lambda: "shop" not in pair.owner.server.manager.tasks)
    assert await pair.other.server.manager.wait_until_purged("shop", within_seconds=60)


async def test_a_wait_ends_with_its_caller_and_leaves_nothing_behind(
    pair: DoorPair, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shoal.accounts.remote_states.LONGEST_CALL_SECONDS", 60.0)
    monkeypatch.setattr("shoal.api.routes.node_states.LONGEST_CALL_SECONDS", 60.0)
    released = pair.owner.site.hold_farewells()
    manager, task = pair.other.server.manager, pair.owner.server.manager.tasks["shop"]
    asking = asyncio.create_task(manager.update_cookie_status("shop", False, caller=ANN))
    await until(lambda: bool(task._waiters))
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)
    await until(lambda: not task._waiters, seconds=30)
    assert not manager.pending
    released.set()


async def test_a_silent_owner_does_not_hold_up_a_change_and_its_stored_state_is_told(url: str, tmp_path: Path) -> None:
    """Nothing hears at its address: what it stores says that the change has reached it."""
    async with open_door_pair(tmp_path, url) as pair:
        assert (await switch(pair, False))["state"] == "stopped"
        assert (await switch(pair, True))["state"] == "running"
        refused = await pair.other.call("PUT", "/cookies/shop/status?wait=0", 503, json={"enabled": True})
        assert refused["code"] == "node_unreachable", "the word that wakes it did not arrive"
        row = (await pair.other.call("PUT", "/cookies/status", 207, json={"updates": {"shop": True}}))["results"][0]
        assert (row["outcome"], row["code"]) == ("failed", "node_unreachable")
        shown = await pair.other.call("GET", "/cookies/shop")
        assert (shown["state"], shown["node"]) == ("running", "b")
        told = await pair.other.call("GET", "/cookies/shop/diagnosis", headers={"Accept-Language": "en"})
        (finding,) = [check for check in told["checks"] if check["name"] == "owned_here"]
        assert (finding["ok"], "Server b" in finding["detail"]) == (False, True)
        assert [check["ok"] for check in told["checks"] if check["name"] == "connected"] == [True], "as it stored"


async def test_a_shop_that_nobody_runs_is_elsewhere(pair: DoorPair, monkeypatch: pytest.MonkeyPatch) -> None:
    node = pair.owner.server.node_calls
    assert node is not None
    monkeypatch.setattr(node, "is_mine", lambda _: False)  # it is about to lose it
    await pair.owner.server.database.write(
        lambda connection: connection.execute(text("UPDATE shards SET owner = NULL")).rowcount
    )
    shown = await pair.other.call("GET", "/cookies/shop")
    assert (shown["state"], shown["node"]) == ("elsewhere", "")


async def _said(door: Door) -> dict[str, Any]:
    """What a server says of its one shop, in all places."""
    shown = await door.call("GET", "/cookies/shop")
    (row,) = await door.call("GET", "/cookies/details")
    counted = (await door.call("GET", "/system/status"))["accounts"]
    checks = (await door.call("GET", "/cookies/shop/diagnosis"))["checks"]
    owned = [check for check in checks if check["name"] == "owned_here"]
    return {"shown": (shown["state"], shown["node"]), "row": (row["state"], row["node"]), "n": counted, "owned": owned}


async def test_while_the_database_is_away_no_shop_is_said_to_run_for_longer_than_a_lease(
    pair: DoorPair, url: str, postgres: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, there = pair.other, pair.owner
    began = rfc3339(now_ms())
    before = await here.call("GET", "/cookies/shop")
    assert (before["state"], before["node"], before["stale"]) == ("running", "b", False)
    with postgres.away(url):
        assert (await here.call("GET", "/cookies/details"))[0]["state"] == "running", "as long as a lease"
        with monkeypatch.context() as patch:
            patch.setattr(cluster_ownership, "boot_clock", lambda: boot_clock() + 1_000)  # the lease has run out
            patch.setattr(NodeWatch, "lease_seconds", 0.0)
            there.server.manager.ownership_changed()
            await until(lambda: there.server.manager.observation("shop").state is AccountState.ELSEWHERE)
            own, told = await _said(there), await _said(here)
            assert told == own
            assert (own["shown"], own["row"], own["n"]) == (("elsewhere", ""), ("elsewhere", ""), {"elsewhere": 1})
            assert not own["owned"][0]["ok"]
            assert began <= (await here.call("GET", "/cookies/shop"))["since"] <= rfc3339(now_ms())
    there.server.manager.ownership_changed()
    for door in (here, there):
        await until_told(partial(_shown, door), ("running", "b"))


async def _shown(door: Door) -> tuple[str, str]:
    shown = await door.call("GET", "/cookies/shop")
    return shown["state"], shown["node"]


async def test_a_disabled_shop_stays_stopped_at_both_while_the_database_is_away(
    pair: DoorPair, url: str, postgres: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    await switch(pair, False)
    monkeypatch.setattr(NodeWatch, "lease_seconds", 0.0)
    with postgres.away(url):
        said = [await _said(door) for door in (pair.other, pair.owner)]
    assert [one["shown"] for one in said] == [one["row"] for one in said] == [("stopped", "b")] * 2


async def test_of_a_shop_of_which_nothing_is_known_no_time_before_it_was_added_is_told(
    pair: DoorPair, url: str, postgres: Postgres
) -> None:
    await pair.owner.add("later", 2)
    await until(lambda: "later" in pair.other.server.manager.accounts)
    with postgres.away(url):
        shown = await pair.other.call("GET", "/cookies/later")
    assert (shown["state"], shown["node"]) == ("elsewhere", "")
    assert shown["since"] == shown["created_at"]


async def test_what_a_server_does_not_know_yet_it_reads_before_it_refuses(
    pair: DoorPair, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The follower of the other server stands still, as in the moment before it reads."""
    follower, here = pair.other.server.follower, pair.other
    assert follower is not None
    await follower.close()
    await pair.owner.add("later", 2)
    assert (await here.call("GET", "/cookies/later"))["id"] == "later", "an id that was added there"
    await pair.owner.call("PATCH", "/cookies/shop/settings", json={"remark": "there"})
    etag, generation = await pair.owner.etag("/cookies/shop"), pair.owner.account().generation
    told = await here.call("PATCH", "/cookies/shop/settings", json={"remark": "here"}, headers={"If-Match": etag})
    assert told["generation"] == generation + 1, "a later generation is no mistake"
    refused = await here.call("POST", "/cookies", 409, json={"id": "twice", "value": cookie_of(2)})
    assert refused["code"] == "duplicate_unb"
    await pair.owner.call("DELETE", "/cookies/later")
    assert (await here.call("POST", "/cookies", json={"id": "twice", "value": cookie_of(2)}))["msg"] == "success"


async def test_an_op_that_another_server_has_not_decided_is_unknown_and_then_applied(
    pair: DoorPair, monkeypatch: pytest.MonkeyPatch
) -> None:
    manager, here = pair.owner.server.manager, pair.other
    assert (await here.call("GET", "/ops/unheard-of"))["state"] == "not_applied"
    with monkeypatch.context() as patch:
        patch.setattr(manager, "pending", {"shop": None})
        assert (await here.call("GET", "/ops/unheard-of"))["state"] == "unknown"
    keys = pair.owner.server.idempotency_keys
    made = KeyedRequest(user_id=1, actor="user:admin", key="k1", method="PUT", path="/x", request_hash="h")
    async with keys.turn(made):
        assert (await here.call("GET", "/ops/k1"))["state"] == "unknown"
    done = await pair.owner.call("PATCH", "/cookies/shop/settings", json={"remark": "done"})
    assert (await here.call("GET", f"/ops/{done['op_id']}"))["state"] == "applied"
    calls = here.server.node_calls
    assert calls is not None

    async def silent(*_: Any, **__: Any) -> Any:
        raise AnswerLost("no answer", code="node_silent", node="b")

    monkeypatch.setattr(calls, "ask_node", silent)
    assert (await here.call("GET", "/ops/unheard-of"))["state"] == "unknown", "a server that is silent may have it"


async def test_a_diagnosis_is_that_of_the_server_that_runs_the_shop(pair: DoorPair) -> None:
    owner = pair.owner.server
    owner.manager.tasks["shop"].observed.note_received(message=True)
    owner.push_counts.note("shop", [UnknownEvent(raw_kind="new-form", is_expected=False)])
    own = await pair.owner.call("GET", "/cookies/shop/diagnosis")
    told = await pair.other.call("GET", "/cookies/shop/diagnosis")
    assert told["pushes"] == own["pushes"] != []
    differ = [check["name"] for check, mine in zip(told["checks"], own["checks"], strict=True) if check != mine]
    assert differ == ["owned_here"]


async def test_what_a_newer_server_tells_is_left_aside_and_what_it_stored_is_told(
    pair: DoorPair, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers: list[dict[str, Any]] = [{}, {"seen": 3}, {"seen": {"shop": {"state": "dreaming"}}}]
    for number, strange in enumerate(answers):

        async def told(*_: Any, strange: dict[str, Any] = strange) -> dict[str, Any]:
            return strange

        for operations, operation in ((NODE_OPERATIONS, WATCH), (NODE_OPERATIONS, OPS), (OPERATIONS, DIAGNOSE)):
            monkeypatch.setitem(operations, operation, told)
        on = number % 2 == 1
        assert (await switch(pair, on))["state"] == ("running" if on else "stopped")
        assert (await pair.other.call("GET", "/cookies/shop"))["state"] == ("running" if on else "stopped")
        assert (await pair.other.call("GET", "/ops/unheard-of"))["state"] == "unknown"
        checks = (await pair.other.call("GET", "/cookies/shop/diagnosis"))["checks"]
        assert [check["ok"] for check in checks if check["name"] == "owned_here"] == [False]
