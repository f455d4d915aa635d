"""The published snapshots: the committed state of every account, and the subscribers to new ones."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any, TypeVar

import structlog

from shoal.accounts.account import Account
from shoal.accounts.events import OF_SERVER, AccountChanged, EventBus, IncidentMoved, MessageEvent
from shoal.accounts.journal import JournalEntry
from shoal.accounts.journal_stream import StreamPlace
from shoal.accounts.positions import Stream
from shoal.accounts.store import Contents
from shoal.errors import UnknownAccount

log = structlog.get_logger("shoal.changes")

Value = TypeVar("Value")
Listener = Callable[[str, Account | None], None]
"""Takes an account's id and its new snapshot; ``None`` after a deletion."""


def _nothing() -> None:
    """Do nothing: no node is asked yet how far everything is published."""


class PublishedAccounts:
    """Holds the snapshots. The change path publishes; connections, tasks and routes read."""

    def __init__(self, events: EventBus, *, several_nodes: bool = False) -> None:
        """``several_nodes``: a snapshot is replaced by a higher generation only, and a change's event comes when
        ``publish_entry`` is called, in the order in which all nodes publish it."""
        self.events = events
        self._several_nodes = several_nodes
        if several_nodes:
            events.on_newer = _nothing
        self._last_generation: dict[str, int] = {}
        """With several nodes: the generation of the deletion of each account that does not exist now."""
        self._accounts: dict[str, Account] = {}
        self._of_number: dict[str, tuple[str, ...]] = {}
        self._shared_numbers: dict[str, None] = {}
        self._of_owner: defaultdict[int, dict[str, Account]] = defaultdict(dict)
        self._listeners: list[Listener] = []
        self._loaded_rev = 0
        self._gone_at: dict[str, int] = {}
        """The rev of the published deletion of each account that does not exist now."""
        self.newest_rev = 0
        """The rev of the change up to which everything was published."""
        self.stream_start = StreamPlace()
        """With several nodes: from where the accounts that were loaded must be followed."""
        self.version = 0
        """Rises with each snapshot that is replaced or removed."""
        self.accounts: Mapping[str, Account] = MappingProxyType(self._accounts)

    @property
    def several_nodes(self) -> bool:
        """Whether other nodes change accounts too, so that a snapshot may be behind its row for a moment."""
        return self._several_nodes

    def subscribe(self, listener: Listener) -> None:
        """Call ``listener`` after each new snapshot, right after its event."""
        self._listeners.append(listener)

    def load(self, contents: Contents) -> None:
        """Publish the accounts that were read at start, without events."""
        self.newest_rev = self._loaded_rev = contents.newest_rev
        self.stream_start = contents.stream_start or StreamPlace()
        if self._several_nodes:
            self.events.note_rev(contents.newest_rev)
            self._last_generation = {name: one.generation for name, one in contents.tombstones.items()}
        else:
            self.events.reached(Stream.CHANGES, contents.newest_rev)
        for account_id, account in contents.accounts.items():
            self.put(account_id, account)

    def current(self, account_id: str) -> Account:
        """Return the snapshot of an account. Raises ``UnknownAccount``."""
        account = self._accounts.get(account_id)
        if account is None:
            raise UnknownAccount(account_id)
        return account

    def of_number(self, number: str) -> tuple[str, ...]:
        """Return the accounts with that seller's number, each of another owner."""
        return self._of_number.get(number, ())

    @property
    def shared_numbers(self) -> Collection[str]:
        """The seller's numbers that several accounts have."""
        return self._shared_numbers.keys()

    def of_owner(self, owner_id: int) -> Collection[Account]:
        """Return the accounts of that user."""
        return self._of_owner[owner_id].values() if owner_id in self._of_owner else ()

    def published_up_to(self, account_id: str) -> int:
        """Return the journal position up to which events of the account were published."""
        account = self._accounts.get(account_id)
        return account.rev if account else self._gone_at.get(account_id, self._loaded_rev)

    def publish(self, account_id: str, account: Account | None, entries: Sequence[JournalEntry]) -> None:
        """Replace the account's snapshot, then publish the entries that led to it."""
        if self._several_nodes:
            self.follow(account_id, account, account.generation if account is not None else entries[-1].generation)
            return
        self.put(account_id, account)
        for entry in entries:
            self._count(entry)
            self._call(account_id, self.events.publish, AccountChanged(entry=entry))
        for listener in self._listeners:
            self._call(account_id, listener, account_id, account)

    def follow(self, account_id: str, account: Account | None, generation: int) -> None:
        """Replace the account's snapshot if that generation is higher: news may overtake each other. No event."""
        published = self._accounts.get(account_id)
        last = self._last_generation.get(account_id, 0) if published is None else published.generation
        if generation <= last:
            return
        if account is None:
            self._last_generation[account_id] = generation
        else:
            self._last_generation.pop(account_id, None)
        self.put(account_id, account)
        for listener in self._listeners:
            self._call(account_id, listener, account_id, account)

    def publish_entry(self, entry: JournalEntry) -> None:
        """Publish the event of a change, in the order of the stream. Its snapshot, or a later one, was published."""
        self.newest_rev = entry.rev
        self._note_deletion(entry)
        self.events.note_rev(entry.rev)
        self._call(entry.account_id, self.events.publish, AccountChanged(entry=entry))

    def _call(self, account_id: str, listener: Callable[..., None], *args: Any) -> None:
        try:
            listener(*args)
        except Exception:  # must neither keep the others from hearing nor stop the group's other changes
            log.exception("a listener failed at a committed change", account=account_id, rev=self.newest_rev)

    def publish_event(self, event: MessageEvent) -> None:
        """Publish an event of a chat or an order, with the account's owner."""
        account = self._accounts.get(event.account_id)
        if account is not None:
            self.events.publish(replace(event, owner_id=account.owner_id))

    def publish_incident(self, moved: IncidentMoved) -> None:
        """Publish that an incident was opened or closed, with the owner of what it is about."""
        account = self._accounts.get(moved.account_id)
        if account is not None:
            self.events.publish(replace(moved, owner_id=account.owner_id))
        elif not moved.account_id:
            self.events.publish(replace(moved, owner_id=OF_SERVER if moved.user_id is None else moved.user_id))

    def put(self, account_id: str, account: Account | None) -> None:
        """Replace the account's snapshot, without events."""
        self.version += 1
        old = self._accounts.get(account_id)
        if (old and old.unb) != (account and account.unb):
            self._move_number(account_id, old, account)
        if old is not None and (account is None or account.owner_id != old.owner_id):
            del self._of_owner[old.owner_id][account_id]
            if not self._of_owner[old.owner_id]:
                del self._of_owner[old.owner_id]
        if account is not None:
            self._of_owner[account.owner_id][account_id] = self._accounts[account_id] = account
        else:
            self._accounts.pop(account_id, None)

    def _move_number(self, account_id: str, old: Account | None, new: Account | None) -> None:
        if old is not None:
            others = tuple(other for other in self._of_number[old.unb] if other != account_id)
            if others:
                self._of_number[old.unb] = others
            else:
                del self._of_number[old.unb]
            if len(others) == 1:
                self._shared_numbers.pop(old.unb, None)
        if new is not None:
            others = self._of_number.get(new.unb, ())
            self._of_number[new.unb] = (*others, account_id)
            if others:
                self._shared_numbers[new.unb] = None

    def _count(self, entry: JournalEntry) -> None:
        self.newest_rev = max(self.newest_rev, entry.rev)
        self._note_deletion(entry)

    def _note_deletion(self, entry: JournalEntry) -> None:
        if entry.is_deletion:
            self._gone_at[entry.account_id] = entry.rev
        else:
            self._gone_at.pop(entry.account_id, None)


class PublishedView(Mapping[str, Value]):
    """One field of every published account, by account id. Read-only."""

    def __init__(self, published: Mapping[str, Account], field: Callable[[Account], Value]) -> None:
        self._published = published
        self._field = field

    def __getitem__(self, account_id: str) -> Value:
        return self._field(self._published[account_id])

    def __iter__(self) -> Iterator[str]:
        return iter(self._published)

    def __len__(self) -> int:
        return len(self._published)
