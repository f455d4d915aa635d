"""Sends traces to the operator's OpenTelemetry collector, by OTLP over HTTP. Loaded only when its address is set.

Only ``/v1/traces`` below that address is called: no proxy of the environment is used, and no redirect is followed.
"""

from __future__ import annotations

import asyncio
import hashlib
import secrets
from typing import Final

import requests
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import SpanKind, Status, StatusCode, set_span_in_context

from shoal import __version__
from shoal.traces import KeptTrace, take_with

PATH: Final = "/v1/traces"
CALL_SECONDS: Final = 5.0
HASHED: Final = frozenset({"account"})
"""The facts that name something: of these a keyed hash is sent, with a key that only this process has."""


class TraceExport:
    """Sends traces from the moment it is made until ``close``. A full queue drops the newest."""

    def __init__(self, endpoint: str) -> None:
        self._key = secrets.token_bytes(16)
        session = requests.Session()
        session.trust_env = False
        session.max_redirects = 0
        self._exporter = OTLPSpanExporter(endpoint=address_of(endpoint), timeout=CALL_SECONDS, session=session)
        resource = Resource({"service.name": "shoal", "service.version": __version__})
        self._provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(self._exporter))
        self._tracer = self._provider.get_tracer("shoal", __version__)
        self._end = take_with(self._take)

    async def close(self) -> None:
        """Take no more traces, and send those that wait."""
        self._end()
        await asyncio.to_thread(self._provider.shutdown)

    def _take(self, trace: KeptTrace) -> None:
        facts = {f"shoal.{name}": self._shown(name, value) for name, value in trace.facts.items()}
        begun = trace.began_ns
        root = self._tracer.start_span(
            trace.name, context=Context(), kind=SpanKind.INTERNAL, attributes=facts, start_time=begun
        )
        if "error" in trace.facts:
            root.set_status(Status(StatusCode.ERROR, str(trace.facts["error"])))
        inside = set_span_in_context(root, Context())
        for step in trace.steps:
            span = self._tracer.start_span(step.name, context=inside, start_time=begun + step.began_ns)
            span.end(begun + step.ended_ns)
        root.end(begun + trace.took_ns)

    def _shown(self, name: str, value: str | int) -> str | int:
        if name not in HASHED:
            return value
        return hashlib.blake2b(str(value).encode(), key=self._key, digest_size=6).hexdigest()


def address_of(endpoint: str) -> str:
    """Return the address for traces below a collector's address."""
    return endpoint if endpoint.endswith(PATH) else endpoint.rstrip("/") + PATH
