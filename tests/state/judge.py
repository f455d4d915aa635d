"""The invariants of the contract, judged when a world is at rest."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shoal.accounts.account import Account
from shoal.accounts.journal import JournalEntry, fold, projection
from state.answers import NO_OUTCOME, UNSURE, Said
from state.demands import demand
from state.faulty_stores import FaultySqlite
from state.linearizability import Operation, linearization
from state.model import CHANGED, FOOTPRINTS, UNCHANGED, Call, Read, apply, model_of, seen_as
from state.sites import ACCOUNTS

if TYPE_CHECKING:
    from state.world import World


async def judge(world: World) -> None:
    """Invariants 1 to 5, 7, 9 and 13, of everything since the last time."""
    world.figures.rests += 1
    demand(not world.loop.complaints, f"the loop complained: {world.loop.complaints}")
    demand(not world.manager.pending, "a draft was left behind")
    demand(len(world.manager.locks) == 0, "a lock is held, or was leaked")
    demand(not any(map(world.manager.is_stale, ACCOUNTS)), "an account is stale at rest")
    contents, journal = await world.store.load(), await world.store.journal()
    accounts = dict(world.manager.accounts)
    demand(accounts == dict(contents.accounts), "what is published is not what is stored")
    folded = fold(journal)
    demand(
        folded == {name: projection(account) for name, account in accounts.items()},
        "what is published is not what the journal says",
    )
    demand(len({entry.op_id for entry in journal}) == len(journal), "an op was carried out twice")
    if isinstance(world.store, FaultySqlite):
        rows = {name: (account.generation, account.rev, account.enabled) for name, account in accounts.items()}
        demand(world.store.rows() == rows, "the rows are not what is published")
    demand([entry.rev for entry in journal] == sorted({entry.rev for entry in journal}), "revs do not rise")
    demand(world.manager.newest_rev == max((entry.rev for entry in journal), default=0), "the newest rev is old")
    for name, seen in contents.observations.items():
        task = world.manager.tasks[name].observation
        demand((seen.state, seen.parked_for) == (task.state, task.parked_for), f"{name} is observed otherwise")
    await world.until(
        lambda: len(world.followed) == len(journal) - _revs_before(world, journal), "readers catch up", 60
    )
    check_stream(world, journal, followed=True)
    _check_footprints(journal)
    made = {entry.op_id: (entry.generation, entry.rev) for entry in journal}
    demand(all(made.get(op_id) == stamp for op_id, stamp in world.stamps.items()), "an answer names another change")
    world.stamps.clear()
    _check_versions(world, journal)
    await _check_answers(world, {entry.op_id: entry for entry in journal})
    _check_histories(world, accounts, journal)


def _revs_before(world: World, journal: list[JournalEntry]) -> int:
    return sum(entry.rev <= world.opened_at for entry in journal)


def check_stream(world: World, journal: list[JournalEntry], *, followed: bool) -> None:
    since = [entry for entry in journal if entry.rev > world.opened_at]
    demand(
        [entry.rev for entry in world.fanned_out] == [entry.rev for entry in since],
        f"the stream is not the journal: {[entry.rev for entry in world.fanned_out]}",
    )
    demand(
        [entry.op_id for entry in world.fanned_out] == [entry.op_id for entry in since],
        "an event differs from its journal row",
    )
    if followed:
        demand(world.followed == [entry.rev for entry in since], f"a reader got {world.followed}")


def _check_footprints(journal: list[JournalEntry]) -> None:
    for entry in journal:
        allowed = FOOTPRINTS.get(entry.op_id.partition("-")[0])
        demand(allowed is None or entry.changes.keys() <= allowed, f"{entry.op_id} touched {sorted(entry.changes)}")


def _check_versions(world: World, journal: list[JournalEntry]) -> None:
    """Every value that was ever read, or returned, is a committed one."""
    world.versions.learn(journal)
    shown = [*(account for _, _, account in world.reads if account is not None), *world.returned]
    for account in {id(account): account for account in shown}.values():
        committed = world.versions.at(account.id, account.generation)
        demand(
            committed == projection(account),
            f"{account.id} was shown at generation {account.generation} as it never was",
        )
    world.returned.clear()


async def _check_answers(world: World, journal: dict[str, JournalEntry]) -> None:
    """What callers were told is what became of it; who was told nothing gets the true outcome now."""
    now = next(world.clock)
    kept: list[Said] = []
    fates: dict[str, set[bool]] = {}
    for said in world.said:
        record = await world.store.op_at_rest(said.op_id)
        applied = record is not None
        if said.answer in UNSURE:
            said.ended = now
            if record is not None:
                said.answer = CHANGED if record.changed else UNCHANGED
                kept.append(said)
        elif said.answer in {CHANGED, UNCHANGED}:
            demand(record is not None, f"{said.op_id} was acknowledged and is not there")
            demand((said.op_id in journal) == (said.answer == CHANGED), f"{said.op_id}: {said.answer}, says the answer")
            kept.append(said)
        else:
            demand(not applied and said.op_id not in journal, f"{said.op_id} failed ({said.answer}) and left a trace")
            if said.answer not in NO_OUTCOME and said.call.kind != "atomic":
                kept.append(said)
        if said.call.kind == "atomic":
            fates.setdefault(said.op_id.partition(":")[0], set()).add(applied)
    for op_id, fate in fates.items():
        demand(len(fate) == 1, f"{op_id} was applied in part")
    world.said = kept


def _check_histories(world: World, accounts: dict[str, Account], journal: list[JournalEntry]) -> None:
    for name in ACCOUNTS:
        operations: list[Operation[Call | Read]] = [
            Operation(call=said.call, answer=said.answer, began=said.began, ended=said.ended)
            for said in world.said
            if said.account == name
        ]
        operations += [
            Operation(call=Read(), answer=seen_as(account), began=at, ended=at)
            for account_name, at, account in world.reads
            if account_name == name
        ]
        found = linearization(operations, world.start[name], apply)
        demand(found is not None, f"the history of {name} has no order: {_told(operations)}")
        generation = max((entry.generation for entry in journal if entry.account_id == name), default=0)
        account = accounts.get(name)
        number = 0 if account is None else int(account.unb) - 2200000000000
        world.start[name] = model_of(account, number, generation)
    world.said.clear()
    world.reads.clear()


def _told(operations: list[Operation[Call | Read]]) -> str:
    return "\n".join(
        f"{operation.began}-{operation.ended} {operation.call} -> {operation.answer}"
        for operation in sorted(operations, key=lambda operation: operation.began)
    )
