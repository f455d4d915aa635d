"""Traces: off, nothing is loaded; on, a collector gets the steps of a change, an answer and an order, and no words."""

from __future__ import annotations

import re
from pathlib import Path

import shoal
from shoal import traces
from shoal.server.otlp import TraceExport, address_of
from support.figures.trace_collector import collecting, facts_of
from support.servers.doors import open_door


async def test_a_collector_gets_the_steps_of_a_change(tmp_path: Path) -> None:
    async with collecting() as collector:
        async with open_door(tmp_path / "data", otlp_endpoint=collector.url) as door:
            await door.add("canary-shop")
            await door.call("PUT", "/cookies/canary-shop/status", json={"enabled": False})
            await door.call(
                "PUT", "/cookies/canary-shop/status", 412, json={"enabled": True}, headers={"If-Match": '"g99"'}
            )
        assert set(collector.paths) == {"/v1/traces"}
        kinds = [facts_of(span)["shoal.kind"] for span in collector.spans if span.name == "change"]
        assert kinds == ["add_cookie", "update_cookie_status", "update_cookie_status"]
        root, steps = collector.traces("change")[0]
        assert steps == ["request", "lock", "draft", "write", "apply"]
        facts = facts_of(root)
        assert facts["shoal.kind"] == "add_cookie"
        assert len(facts["shoal.account"]) == 12
        refused = [facts_of(span) for span in collector.spans if span.status.code == 2]
        assert [one["shoal.error"] for one in refused] == ["stale_generation"]
        assert b"canary" not in b"".join(collector.bodies)
    assert not traces._takers


async def test_a_redirect_is_not_followed() -> None:
    async with collecting(307) as collector:
        export = TraceExport(collector.url)
        with traces.begin("message", account="shop"):
            pass
        await export.close()
        assert set(collector.paths) == {"/v1/traces"}


async def test_a_collector_that_is_not_there_keeps_nobody_waiting_long() -> None:
    export = TraceExport("http://127.0.0.1:9")
    with traces.begin("message", account="shop"):
        pass
    await export.close()
    assert not traces._takers


def test_the_address_is_that_of_the_collector_or_of_its_traces() -> None:
    for endpoint in ("http://c:4318", "http://c:4318/", "http://c:4318/v1/traces"):
        assert address_of(endpoint) == "http://c:4318/v1/traces"


def test_off_nothing_is_kept_and_nothing_is_loaded() -> None:
    trace = traces.begin("change", account="shop")
    assert trace is traces.begin("message", account="other")
    with trace:
        trace.step("lock")
        assert traces.current() is trace


def test_what_sends_traces_is_loaded_only_when_they_are_on() -> None:
    at_once = re.compile(r"^(?:from|import) (?:opentelemetry|shoal\.server\.otlp)", re.MULTILINE)
    sources = Path(shoal.__file__).parent.rglob("*.py")
    assert [path.name for path in sources if at_once.search(path.read_text(encoding="utf-8"))] == ["otlp.py"]
