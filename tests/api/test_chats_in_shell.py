"""The work on chats from the shell."""

from __future__ import annotations

from shoal.clock import now_ms
from shoal.messages.decisions import Decision
from shoal.messages.message_log import IncomingMessage
from support.servers.doors import Door, in_shell, served


async def test_a_chat_is_done_put_off_opened_assigned_and_noted(door: Door) -> None:
    said = IncomingMessage(message_id="m1", chat_id="c1", sender_id="22", text="在吗", created_at_ms=now_ms())
    await door.server.message_log.store_incoming("shop", [said])
    async with served(door) as url:
        token = await door.server.sessions.open(1)

        async def say(*words: str, code: int = 0) -> str:
            given, text = await in_shell(url, token, "chats", *words)
            assert given == code, text
            return text

        assert "Chat c1 is done." in await say("done", "shop", "c1")
        assert "is snoozed until" in await say("snooze", "shop", "c1", "--minutes", "30")
        assert (await say("reopen", "shop", "c1")).strip() == "Chat c1 is open."
        assert "Chat c1 is open. admin takes care of it." in await say("assign", "shop", "c1", "admin")
        assert "takes care" not in await say("assign", "shop", "c1")
        assert "No notes." in await say("notes", "shop", "c1")
        assert "Noted." in await say("note", "shop", "c1", "老客户")
        assert "老客户" in await say("notes", "shop", "c1")
        assert "no such chat" in await say("done", "shop", "c9", code=1)


async def test_the_list_names_what_waits_what_is_taken_over_and_the_words_that_were_found(door: Door) -> None:
    log, at_ms = door.server.message_log, now_ms()
    said = [("m1", "c1", "包邮吗"), ("m2", "c1", "在吗"), ("m3", "c2", "包邮吗")]
    messages = [
        IncomingMessage(message_id=name, chat_id=chat, sender_id="22", text=text, created_at_ms=at_ms + number)
        for number, (name, chat, text) in enumerate(said)
    ]
    await log.store_incoming("shop", messages)
    await log.decide("shop", ["m1", "m2"], Decision.NO_RULE)
    await door.call("PUT", "/cookies/shop/chats/c2/pause", json={"minutes": 5})
    async with served(door) as url:
        token = await door.server.sessions.open(1)
        code, text = await in_shell(url, token, "chats", "list", "--search", "包邮")
    assert code == 0, text
    lines = {line.split()[0]: line for line in text.splitlines() if line.strip()}
    assert [(word in lines["c1"], word in lines["c2"]) for word in ("waits", "taken over")] == [
        (True, False),
        (False, True),
    ]
    assert ("包邮吗" in lines["c1"], "在吗" in lines["c1"]) == (True, False), "what was found, not what was said last"
