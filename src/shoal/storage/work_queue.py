"""The work that waits for the writer, and what it takes next."""

from __future__ import annotations

from collections import deque

from shoal.storage.group_work import Changes, Mark, Work

MAX_GROUP_CHANGES = 500
"""How many changes (a job counts as one) are committed together; one ``submit`` is never split."""


class WorkQueue:
    """Work in the order in which it came; large work apart, in turns with all other. The writer's lock guards it.

    What writes thousands of rows is a group of its own: the others do not wait for its end in its group, but at most
    for one such group at a time. Accounts have one change at a time, so no work overtakes what it builds on.
    """

    def __init__(self) -> None:
        self._work: deque[Work] = deque()
        self._large: deque[Work] = deque()
        self._large_in_all = 0
        self._large_is_next = False

    def __len__(self) -> int:
        return len(self._work) + len(self._large)

    def append(self, work: Work) -> None:
        """Add work at the end."""
        if isinstance(work, Mark):
            work.after_large = self._large_in_all
        elif isinstance(work, Changes) and work.is_large:
            self._large_in_all += 1
            self._large.append(work)
            return
        self._work.append(work)

    def next_group(self) -> list[Work]:
        """Take one large work, or all other work up to the limit and up to the second unit for one account."""
        group: list[Work] = []
        if not self._large or not self._large_is_next:
            size, seen = 0, set[str]()
            while self._work:
                work = self._work[0]
                accounts = [change.account_id for change in work.changes] if isinstance(work, Changes) else []
                if group and (size + work.size > MAX_GROUP_CHANGES or not seen.isdisjoint(accounts)):
                    break
                if isinstance(work, Mark) and work.after_large > self._large_in_all - len(self._large):
                    break
                group.append(self._work.popleft())
                size += work.size
                seen.update(accounts)
        if not group and self._large:
            group.append(self._large.popleft())
            self._large_is_next = False
        else:
            self._large_is_next = bool(self._large)
        return group

    def drop_all_but_marks(self) -> list[Work]:
        """Remove the work and return it."""
        dropped: list[Work] = [work for work in (*self._work, *self._large) if not isinstance(work, Mark)]
        self._work = deque(work for work in self._work if isinstance(work, Mark))
        self._large.clear()
        return dropped
