"""An OpenTelemetry collector on a socket of this machine, and what it got."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


class Collector:
    """What an OpenTelemetry collector got."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        self.paths: list[str] = []
        self.url = ""

    @property
    def spans(self) -> list[Any]:
        spans = []
        for body in self.bodies:
            request = ExportTraceServiceRequest.FromString(body)
            spans += [span for one in request.resource_spans for scope in one.scope_spans for span in scope.spans]
        return spans

    def traces(self, name: str) -> list[tuple[Any, list[str]]]:
        """The roots of that name, each with the names of its steps in their order."""
        spans = self.spans
        return [(root, _steps_of(root, spans)) for root in spans if root.name == name and not root.parent_span_id]


def _steps_of(root: Any, spans: list[Any]) -> list[str]:
    steps = [span for span in spans if span.parent_span_id == root.span_id]
    for span in steps:
        assert span.trace_id == root.trace_id
        assert root.start_time_unix_nano <= span.start_time_unix_nano <= span.end_time_unix_nano
        assert span.end_time_unix_nano <= root.end_time_unix_nano
    return [span.name for span in sorted(steps, key=lambda span: span.end_time_unix_nano)]


@asynccontextmanager
async def collecting(status: int = 200) -> AsyncIterator[Collector]:
    """A collector on a socket of this machine."""
    collector = Collector()

    async def take(request: web.Request) -> web.Response:
        collector.paths.append(request.path)
        collector.bodies.append(await request.read())
        return web.Response(status=status, headers={"Location": "/elsewhere"} if status == 307 else {})

    application = web.Application()
    application.router.add_route("*", "/{path:.*}", take)
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    collector.url = "http://{}:{}".format(*runner.addresses[0])
    try:
        yield collector
    finally:
        await runner.cleanup()


def facts_of(span: Any) -> dict[str, Any]:
    return {one.key: one.value.string_value or one.value.int_value for one in span.attributes}
