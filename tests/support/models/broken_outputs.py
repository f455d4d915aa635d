"""Ways in which a provider breaks an output that was good."""

from __future__ import annotations

from random import Random


def broken(rng: Random, good: str) -> str:
    """Return something that is no output."""
    return rng.choice(
        (
            good[: rng.randrange(len(good))],
            good.replace('"reply"', rng.choice(('"send"', "null", "1", '["reply"]', '"REPLY"'))),
            good.replace('"text"', '"message"'),
            good.replace(
                "10000", rng.choice(('"10000"', "1e400", "-1", "100.5", "true", "NaN", "Infinity", "[1]", "9" * 4_400))
            ),
            good.replace("[1]", rng.choice(('["1"]', "null", "1", "[1.5]", "[[1]]", "[null]", str(list(range(50)))))),
            f"Sure! Here it is:\n{good}",
            f"{good}\n{good}",
            f"```python\n{good}\n```",
            f"<think>x</think>{good}",
            good.replace("在的", rng.choice(("\\u0000", "\\ud83d", "x" * 3_000))),
            good.replace('{"action"', '{"action": "silent", "action"'),
            f"[{good}]",
            "[" * rng.randrange(1, 60_000),
            "{}",
            "null",
            "".join(chr(rng.randrange(1, 0xD7FF)) for _ in range(rng.randrange(200))),
            good.replace('"', "'"),
            "",
            good.replace("在的，可以拍", rng.choice(("", "  ", "\\n"))),
        )
    )
