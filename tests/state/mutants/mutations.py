"""The defects. Each is a set of replacements in ``src/shoal``; what is replaced must stand there exactly once."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Edit:
    """One replacement in one file."""

    file: str
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class Mutation:
    """One defect."""

    name: str
    edits: tuple[Edit, ...]

    def misfits(self, source: Path) -> list[str]:
        """What cannot be applied, and why."""
        counts = [(edit, (source / edit.file).read_text(encoding="utf-8").count(edit.old)) for edit in self.edits]
        return [
            f"{self.name}: {edit.old!r} stands {count} times in {edit.file}" for edit, count in counts if count != 1
        ]

    def apply(self, source: Path) -> None:
        """Change the files. Raises ``ValueError`` when a text does not stand there exactly once."""
        misfits = self.misfits(source)
        if misfits:
            raise ValueError("; ".join(misfits))
        for edit in self.edits:
            file = source / edit.file
            file.write_text(file.read_text(encoding="utf-8").replace(edit.old, edit.new), encoding="utf-8")


def _one(name: str, file: str, old: str, new: str) -> Mutation:
    return Mutation(name, (Edit(file, old, new),))


MUTATIONS = (
    Mutation(
        "no lock",
        (
            Edit("accounts/account_locks.py", "        if holder is None:\n", "        if True:\n"),
            Edit(
                "accounts/account_locks.py",
                "del self._holds[hold.account_id]",
                "self._holds.pop(hold.account_id, None)",
            ),
        ),
    ),
    _one(
        "the wait for the database frees the lock",
        "accounts/change_path.py",
        "        if not outcome:\n            self._unsettled.update(",
        "        if not outcome:\n            self._drop(changes, holds)\n            self._unsettled.update(",
    ),
    _one(
        "publish before commit",
        "accounts/change_path.py",
        "            self._pending[change.account_id] = change.new\n",
        "            self._pending[change.account_id] = change.new\n"
        "            self._published.put(change.account_id, change.new)\n",
    ),
    Mutation(
        "publish from the request",
        (
            Edit(
                "accounts/change_path.py",
                "                    if entry is not None:\n"
                "                        self._publish(change, entry, missed)\n",
                "                    if entry is None:\n                        log.debug('unchanged')\n",
            ),
            Edit(
                "accounts/change_path.py",
                "        return {entry.account_id: entry for entry in settlement.entries}\n",
                "        made = {entry.account_id: entry for entry in settlement.entries}\n"
                "        for change in changes:\n"
                "            if change.account_id in made:\n"
                "                self._publish(change, made[change.account_id])\n"
                "        return made\n",
            ),
        ),
    ),
    _one(
        "fan out, then publish",
        "accounts/published.py",
        "        self.put(account_id, account)\n        for entry in entries:\n            self._count(entry)\n"
        "            self._call(account_id, self.events.publish, AccountChanged(entry=entry))\n",
        "        for entry in entries:\n            self._count(entry)\n"
        "            self._call(account_id, self.events.publish, AccountChanged(entry=entry))\n"
        "        self.put(account_id, account)\n",
    ),
    Mutation(
        "no generation check in the rows",
        (
            Edit(
                "storage/change_statements.py",
                "WHERE id = {mark} AND generation = {mark} AND NOT deleted",
                "WHERE id = {mark} AND {mark} AND NOT deleted",
            ),
            Edit(
                "storage/account_rows.py",
                "if row is None or row.deleted or row.generation != change.old.generation:",
                "if row is None or row.deleted:",
            ),
        ),
    ),
    _one(
        "the lock stays after a refusal by the store",
        "accounts/change_path.py",
        "        finally:\n            self._drop(changes, holds)\n",
        "        finally:\n"
        "            if isinstance(settlement, Committed):\n                self._drop(changes, holds)\n",
    ),
    _one(
        "the lock stays after a refusal of the edit",
        "accounts/account_locks.py",
        "        if error is not None:\n            self.release()\n",
        "        if error is not None:\n            self.slow_at = 0.0\n",
    ),
    _one(
        "unsettled is taken for refused",
        "accounts/change_path.py",
        "        if isinstance(settlement, Unsettled):\n",
        "        if isinstance(settlement, Unsettled):\n            self._drop(changes, holds)\n            return\n",
    ),
    _one(
        "an op that is asked again is done again",
        "accounts/change_path.py",
        "record = await self._store.op(op.op_id) if look else None",
        "record = await self._store.op(op.op_id) if look and not op.op_id else None",
    ),
    _one(
        "the locks of a batch are taken in the caller's order",
        "accounts/change_path.py",
        "            for account_id in sorted(edits):",
        "            for account_id in edits:",
    ),
    _one(
        "an account is added before its deletion has ended",
        "accounts/change_path.py",
        "        if self._is_purging(account.id):\n",
        "        if self._is_purging(account.id) and not account.enabled:\n",
    ),
    _one(
        "a parked account is tried again",
        "accounts/account_task.py",
        " or self.is_parked(account):",
        ":",
    ),
    _one(
        "what only an owner can mend is forgotten while stopping",
        "accounts/account_task.py",
        "        if isinstance(error, ActionRequired):",
        "        if isinstance(error, ActionRequired) and not stopped_by_us:",
    ),
    _one(
        "what was being stored at the close is forgotten",
        "accounts/observation_writer.py",
        "            except asyncio.CancelledError:  # the server closes, and the outcome of this write is unknown\n"
        "                self._keep_for_later(groups)\n",
        "            except asyncio.CancelledError:\n",
    ),
    _one(
        "a new connection before the old one has ended",
        "accounts/account_task.py",
        "        self._connection.cancel()\n",
        "        self._connection.cancel()\n"
        "        self._connection = None\n"
        "        self._stopping = False\n"
        "        self.wake()\n",
    ),
    _one(
        "the gate does not ask for enabled",
        "accounts/account_task.py",
        "            and account.enabled\n            and link is self._link\n",
        "            and link is self._link\n",
    ),
    _one(
        "the gate does not ask for the connection's cookie",
        "accounts/account_task.py",
        "            and account.run_key == self._running_for\n            and self._deps",
        "            and self._deps",
    ),
    _one(
        "a batch un-parks",
        "accounts/status_batch.py",
        "wanted = {account_id: edits.switched(enabled) for",
        "wanted = {account_id: edits.switched(enabled, self._tasks.is_parked) for",
    ),
    _one(
        "'on' at another node does not read the park record",
        "accounts/task_manager.py",
        "return self._remote.of(account.id).parked_for == account.park_key",
        "return False",
    ),
    _one(
        "what a node stored takes back what it told",
        "accounts/remote_states.py",
        "known.at > began - (PUSHED_SECONDS if known.is_pushed and state.node else 0.0)",
        "known.at > began",
    ),
    _one(
        "what the node before stored ends the wait for a shop that moves",
        "accounts/remote_states.py",
        "if failure is None or failure.code == MOVING:",
        "if failure is None:",
    ),
    _one(
        "what was stored before a change ends its wait",
        "accounts/remote_states.py",
        "return bool(known.node) and known.observation.observed_generation >= stand.generation",
        "return bool(known.node)",
    ),
    _one(
        "'on' that reached nobody is told as done",
        "accounts/waits.py",
        "                raise failures[name]\n",
        "                failures = {}\n",
    ),
    _one(
        "who holds a number is not read again before the site is met",
        "accounts/seller_numbers.py",
        "        await self._numbers.look(self._account.unb)\n",
        "",
    ),
)
"""Every defect that the proofs must see."""
