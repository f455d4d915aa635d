"""What an edit of a list of rules leaves as it was."""

from __future__ import annotations

from shoal.rules.rule_lists import Wanted, edits_between, replaced


def a_rule(word: str) -> Wanted:
    return Wanted({"words": [word], "parts": [{"text": "hi"}]}, new_id=word)


def test_a_rule_that_is_put_where_there_is_room_moves_no_other() -> None:
    four = replaced((), [a_rule(word) for word in ("one", "two", "three", "four")])
    with_room = replaced(four, [a_rule("one"), a_rule("three"), a_rule("four")])
    after = replaced(with_room, [a_rule(word) for word in ("one", "new", "three", "four")])
    assert [rule.words[0] for rule in after] == ["one", "new", "three", "four"]
    edits = edits_between(with_room, after)
    assert [rule.id for rule in edits.added] == ["new"]
    assert (edits.edited, edits.removed) == ([], [])
