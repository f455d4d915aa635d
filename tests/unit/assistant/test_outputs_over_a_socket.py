"""Made-up outputs come over a real socket, from both kinds of provider, with its faults between them: none passes.

``make prove`` asks for 10,000 (``faults/prove_model_outputs.py``).
"""

from __future__ import annotations

from faults.prove_model_outputs import ask_all

SEED = 4


async def test_a_share_of_the_outputs_breaks_no_rail() -> None:
    told = await ask_all(200, SEED)
    assert told.breaches == [], f"seed {SEED}"
    assert sum(told.kinds.values()) == 200
    assert not told.held_back
