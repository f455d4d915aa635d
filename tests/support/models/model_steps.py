"""Providers of language models for tests: the sandbox's on a socket, and settings that name it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from shoal.assistant.prompt import PromptMessage
from shoal.assistant.providers import Provider, ProviderKind, Target, host_of
from shoal.sandbox.model_provider import ModelProvider
from shoal.sandbox.server import build_sandbox, serve_sandbox

KEY = "canary-key-of-the-model"
PROMPT: list[PromptMessage] = [
    {"role": "system", "content": "You answer for a shop."},
    {"role": "user", "content": "还在吗"},
]


@asynccontextmanager
async def served_model() -> AsyncIterator[tuple[str, ModelProvider]]:
    """Yield the address of a provider, and the provider."""
    app = build_sandbox(seed=5)
    ready: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    serving = asyncio.create_task(serve_sandbox(app=app, ready=ready))
    try:
        yield await asyncio.wait_for(ready, 60), app.state.site.model_provider
    finally:
        app.state.site.model_provider.close()
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)


def settings_for(base: str, *, agreed: bool = True, **values: Any) -> dict[str, Any]:
    """Settings of the provider at that address, as its owner enters them."""
    return {
        "name": "小模型",
        "base_url": f"{base}/v1",
        "key": KEY,
        "model": "tiny",
        **({"consented_host": host_of(base)} if agreed else {}),
        **values,
    }


def a_target(base: str, *, kind: ProviderKind = ProviderKind.OPENAI, key: str = KEY, agreed: bool = True) -> Target:
    """What is called at that address."""
    url = f"{base}/v1" if kind is ProviderKind.OPENAI else f"{base}/agent/answer"
    host = host_of(url)
    consented = host if agreed else ""
    provider = Provider(id=1, owner_id=1, name="m", kind=kind, host=host, model="tiny", consented_host=consented)
    return Target(provider, url, key)
