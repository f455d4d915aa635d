"""Every defect of the lists, one after another."""

from __future__ import annotations

from mutants import (
    answers_and_orders,
    answers_apart,
    goods,
    item_prices,
    model_turns,
    notices,
    providers,
    rails,
    several_nodes,
    shared_duties,
    state_and_access,
    suppliers,
    webhooks,
)
from mutants.catalogue import Noticed

NOTICED: tuple[Noticed, ...] = (
    *state_and_access.NOTICED,
    *answers_and_orders.NOTICED,
    *answers_apart.NOTICED,
    *goods.NOTICED,
    *suppliers.NOTICED,
    *providers.NOTICED,
    *rails.NOTICED,
    *item_prices.NOTICED,
    *model_turns.NOTICED,
    *notices.NOTICED,
    *webhooks.NOTICED,
    *several_nodes.NOTICED,
    *shared_duties.NOTICED,
)
