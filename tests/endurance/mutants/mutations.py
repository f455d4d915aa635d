"""The defects that an endurance run is for: answers lost, doubled or made up, orders served twice."""

from __future__ import annotations

from state.mutants.mutations import Edit, Mutation


def _one(name: str, file: str, old: str, new: str) -> Mutation:
    return Mutation(name, (Edit(file, old, new),))


_SEND_TEXT = (
    "                frame = frames.send_text(ids.mid(), row.uuid, row.chat_id, row.buyer_id, self._my_id, text)\n"
    "                receipt = await self._sent(frame, row, text, (since, asked_at_ms))\n"
)
_REPLACE = '__import__("dataclasses").replace'
_WITH_ANOTHER_UUID = f"{_REPLACE}(sending, row={_REPLACE}(row, uuid=self._socket.names.uuid()))"

MUTATIONS = (
    _one(
        "a reply is sent twice",
        "messages/sender.py",
        _SEND_TEXT,
        _SEND_TEXT + _SEND_TEXT.replace("row.uuid, row.chat_id", "ids.uuid(), row.chat_id"),
    ),
    _one(
        "what nobody answered is sent again under another number",
        "messages/sender.py",
        "                    return await self._deliver(sending, again=True, since=since)\n",
        f"                    return await self._deliver({_WITH_ANOTHER_UUID}, again=True, since=since)\n",
    ),
    _one(
        "a confirmation that was cut off is repeated",
        "orders/order_rows.py",
        "        state, detail = ActionState.UNCERTAIN, str(Why.INTERRUPTED)\n        return",
        "        state, detail = ActionState.PENDING, str(Why.INTERRUPTED)\n        return",
    ),
    _one(
        "a line that is deaf is kept",
        "connection/keepalive.py",
        "        elif overlooked:\n            raise",
        "        elif False:\n            raise",
    ),
    _one(
        "what was cut off is forgotten",
        "messages/outbox.py",
        "            .where(cut_off)\n            .values(outcome=SendOutcome.UNCERTAIN.value,",
        '            .where(outbox.c.outcome == "")\n            .values(outcome=SendOutcome.UNCERTAIN.value,',
    ),
    _one(
        "a message that comes again is a new one",
        "messages/message_log.py",
        "            new = {row.message_id: row.id for row in stored}\n",
        '            new = {row["message_id"]: len(stored) for row in rows}\n',
    ),
    _one(
        "only the memory knows which messages came before",
        "messages/message_log.py",
        "            new = {row.message_id: row.id for row in stored}\n",
        '            known = self.__dict__.setdefault("_known", set())\n'
        '            new = {row["message_id"]: len(stored) for row in rows if row["message_id"] not in known}\n'
        "            known |= new.keys()\n",
    ),
    Mutation(
        "a push is acknowledged before it is stored, and nothing is pulled from the past",
        (
            Edit(
                "connection/xianyu_live.py",
                "        received = await incoming.store(events)\n        await socket.ack(push)\n",
                "        await socket.ack(push)\n        received = await incoming.store(events)\n",
            ),
            Edit(
                "connection/history_sync.py",
                "for number, head in enumerate(reversed(await self._moved(since_ms))):",
                "for number, head in enumerate(list[ChatHead]()):",
            ),
        ),
    ),
    _one(
        "what was asked before a restart is not taken up",
        "messages/conversations.py",
        "        self.received(questions, set_ms",
        "        self.received((), set_ms",
    ),
    _one(
        "an echo is taken for the owner",
        "messages/sender.py",
        "        return echoed is not None\n",
        "        return False\n",
    ),
    Mutation(
        "a new connection reads past what still waits for the writer",
        (
            Edit("storage/database.py", "            if not waits:\n", "            if False:\n"),
            Edit(
                "messages/outbox.py",
                "        await self._database.settled()\n        cut_off",
                "        cut_off",
            ),
            Edit(
                "orders/order_store.py",
                "        await self._database.settled()\n        uncertain",
                "        uncertain",
            ),
        ),
    ),
    _one(
        "what was under way when the program ended is left as it was",
        "orders/interruptions.py",
        "    for sending in await message_log.outbox.interrupted(account_id):\n",
        "    for sending in []:\n",
    ),
    _one(
        "a card that comes again makes the order due again",
        "orders/action_rows.py",
        "insert_new(self.connection, order_actions)",
        '__import__("shoal.storage.upserts", fromlist=["upserts"]).insert_or_renew(\n'
        '            self.connection, order_actions, ("state",)\n'
        "        )",
    ),
)

CERTAIN = {
    "a line that is deaf is kept": (
        "tests/connection/test_deaf.py::"
        "test_a_look_that_the_database_does_not_answer_ends_no_line_and_the_next_one_does"
    ),
    "a message that comes again is a new one": (
        "tests/contract/test_message_log.py::test_a_message_is_new_once_and_its_repeats_are_counted"
    ),
    "only the memory knows which messages came before": (
        "tests/contract/test_message_log.py::test_what_comes_again_after_a_restart_is_known"
    ),
}
"""Tests that notice what few runs bring about: a line that stays deaf long enough, a message that comes again after a
restart.
"""
