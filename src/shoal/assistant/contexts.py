"""What a model is given for a question, and what the rails compare its answer with: made of an account's settings."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final

from shoal.accounts.account import Account
from shoal.accounts.model_settings import facts_of
from shoal.assistant.prompt import Context, Fact, Turn, instructions_of
from shoal.assistant.rail_facts import RailFacts, floor_of
from shoal.xianyu.item_page import SpecPrice

SHORTEST_NAME: Final = 2
"""A name of one character is a word of the language, so it is not hidden."""


@dataclass(frozen=True, slots=True)
class Item:
    """What is known of an item; the price is ``None`` when it is not.

    ``specs``: those with different prices; then there is no price of the item. ``is_gone``: it cannot be bought any
    more. ``read_at_ms``: when the site's page was read, ``None`` when nothing of it is used.
    """

    title: str = ""
    price_fen: int | None = None
    description: str = ""
    specs: tuple[SpecPrice, ...] = ()
    is_gone: bool = False
    read_at_ms: int | None = None


ItemOf = Callable[[Account, str], Awaitable[Item]]
"""Returns what is known of an account's item. It takes a few seconds at most, and never raises."""


async def context_of(
    account: Account,
    text: str,
    item_of: ItemOf,
    *,
    item_id: str | None = None,
    turns: Sequence[Turn] = (),
    facts: Sequence[Fact] | None = None,
    ids: Sequence[str] = (),
    names: Sequence[str] = (),
) -> Context:
    """Return what a model is given, for a buyer's question and for a trial of it alike.

    ``facts`` stand in place of the account's; ``None`` leaves those. ``ids`` and ``names`` are the buyer's: they are
    hidden, and so are the account's.
    """
    setting = account.item(item_id)
    item = await item_of(account, item_id) if item_id else Item()
    known = [Fact(asked, answer) for asked, answer in facts_of(account.ai_facts)] if facts is None else facts
    return Context(
        question=text,
        persona=account.ai_persona,
        facts=tuple(known),
        item_title=item.title,
        item_price_fen=item.price_fen,
        item_facts=setting.facts if setting is not None else "",
        item_description=item.description,
        item_specs=item.specs,
        item_is_gone=item.is_gone,
        item_read_at_ms=item.read_at_ms,
        turns=tuple(turns),
        hidden=(*ids, account.unb, *(name for name in (*names, account.name) if len(name) >= SHORTEST_NAME)),
    )


def rail_facts_of(
    account: Account, context: Context, *, item_id: str | None, turns_left: int, last_answer: str = ""
) -> RailFacts:
    """Return what the rails compare an answer with. The description is not among what they believe."""
    setting = account.item(item_id)
    return RailFacts(
        output_filter=account.output_filter,
        buyer_text=context.question,
        turns_left=turns_left,
        floor_fen=floor_of(setting.floor_fen if setting is not None else None, account.price_floor_fen),
        price_fen=max((spec.price_fen for spec in context.item_specs), default=context.item_price_fen),
        specs=context.item_specs,
        facts=len(context.facts),
        owner_words=(*(fact.answer for fact in context.facts), context.item_facts, context.item_title),
        instructions=instructions_of(context),
        last_answer=last_answer,
        turns=context.turns,
    )
