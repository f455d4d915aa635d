"""What a server has for language models: the providers, the calls to them, and what they cost."""

from __future__ import annotations

import msgspec

from shoal.accounts.events import Publish
from shoal.assistant.contexts import ItemOf
from shoal.assistant.drafts import Drafts
from shoal.assistant.model_calls import ModelCalls
from shoal.assistant.provider_store import ProviderStore
from shoal.assistant.trial import Trials
from shoal.assistant.usage import Usage
from shoal.network.outbound import Outbound
from shoal.storage.database import Database
from shoal.storage.vault import Vault


class AssistantComponents(msgspec.Struct, frozen=True, kw_only=True):
    """The components for language models."""

    providers: ProviderStore
    calls: ModelCalls
    usage: Usage
    drafts: Drafts
    trials: Trials
    item_of: ItemOf

    async def close(self) -> None:
        """Close the session of the calls."""
        await self.calls.close()


def open_assistant(
    database: Database, vault: Vault, outbound: Outbound, publish: Publish, item_of: ItemOf
) -> AssistantComponents:
    """Open the components for language models; the caller closes them. Nothing is connected to by it."""
    providers, calls = ProviderStore(database, vault), ModelCalls(outbound)
    return AssistantComponents(
        providers=providers,
        calls=calls,
        usage=Usage(database),
        drafts=Drafts(database, publish=publish),
        trials=Trials(database, providers, calls),
        item_of=item_of,
    )
