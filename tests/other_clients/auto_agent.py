"""XianyuAutoAgent on a strict site: it connects, answers buyers by a model, and is started again."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from other_clients.trial import StrictSite, Trial, answers_at_each_start, note_rules

NAME: Final = "XianyuAutoAgent"
ANSWER: Final = "在的，今天可以发货"


async def try_auto_agent(site: StrictSite, checkout: Path) -> Trial:
    """Start it again and again; each time a buyer asks and must get the model's words."""
    trial = Trial(NAME)
    model = {"API_KEY": "invented", "MODEL_BASE_URL": f"{site.box.url}/v1", "MODEL_NAME": "stand-in"}
    await site.box.post("model", outputs=[ANSWER], cycles=True)
    await answers_at_each_start(
        site, trial, "main.py", checkout, lambda _, said: said == ANSWER, COOKIES_STR=site.cookie(), **model
    )
    await note_rules(site, trial)
    return trial
