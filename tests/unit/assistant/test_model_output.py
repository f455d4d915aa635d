"""The output of a model is read strictly: what is not exactly what was asked for is no output."""

from __future__ import annotations

import json

import pytest

from shoal.assistant.model_output import LONGEST_RAW, BadOutput, ModelOutput, read_output

GOOD = {"action": "reply", "text": "在的", "offered_fen": 9_900, "facts": [1]}


def test_an_object_is_read_alone_or_in_one_fence() -> None:
    whole = ModelOutput(action="reply", text="在的", offered_fen=9_900, facts=[1])
    for raw in (
        json.dumps(GOOD),
        f" \n{json.dumps(GOOD)}\n",
        f"```json\n{json.dumps(GOOD)}\n```",
        f"```\n{json.dumps(GOOD)}```",
    ):
        assert read_output(raw) == whole
    assert read_output('{"action": "handoff", "reasoning": "x"}') == ModelOutput(action="handoff")
    assert read_output('{"action":"reply","text":"  好 "}').text == "好"


def test_an_offer_of_0_is_an_offer_and_none_is_none() -> None:
    assert read_output('{"action":"reply","text":"x","offered_fen":0}').offered_fen == 0
    assert read_output('{"action":"reply","text":"x","offered_fen":null}').offered_fen is None
    assert read_output('{"action":"reply","text":"x"}').offered_fen is None


@pytest.mark.parametrize(
    "raw",
    [
        "", "null", "[]", "好的", '"reply"', '{"action":"reply","text":"在', '{"action":"reply"}',
        '{"action":"reply","text":"  "}',
        '{"action":"send","text":"x"}', '{"text":"x"}', '{"action":"reply","text":7}',
        '{"action":"reply","text":"x","offered_fen":"80"}',
        '{"action":"reply","text":"x","offered_fen":80.5}', '{"action":"reply","text":"x","offered_fen":true}',
        '{"action":"reply","text":"x","offered_fen":-1}', '{"action":"reply","text":"x","offered_fen":NaN}',
        '{"action":"reply","text":"x","offered_fen":1000000000001}', '{"action":"reply","text":"x","facts":["1"]}',
        '{"action":"reply","text":"x","facts":[1.0]}', '{"action":"reply","text":"x","facts":null}',
        '{"action":"handoff","action":"reply","text":"x"}', '{"action":"reply","text":"x\\u0000"}',
        '{"action":"reply","text":"\\ud800"}', "[" * 60_000, '{"action":"reply","text":"' + "x" * LONGEST_RAW + '"}',
        '{"action":"reply","text":"' + "x" * 2_001 + '"}',
        '{"action":"reply","text":"x","offered_fen":' + "9" * 5_000 + "}",
        'Sure! {"action":"reply","text":"x"}', '{"action":"reply","text":"x"}{"action":"silent"}',
        '{"action":"reply","text":"x","facts":' + json.dumps(list(range(21))) + "}",
    ],
    ids=range(30),
)  # fmt: skip
def test_anything_else_is_bad_output(raw: str) -> None:
    with pytest.raises(BadOutput):
        read_output(raw)


def test_the_reason_holds_no_word_of_the_output() -> None:
    with pytest.raises(BadOutput) as caught:
        read_output('{"action":"reply","text":"x","offered_fen":"canary","canary":1}')
    assert str(caught.value) == "offered_fen: int_type"
