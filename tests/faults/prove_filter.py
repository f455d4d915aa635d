"""The proof that nothing which the output filter names leaves by any way: 100,000 made-up texts, each by every way.

    python -m tests.faults.prove_filter [--texts 100000] [--seed 1] [--run LABEL] [--figures FILE]

The ways are those of automatic answers, by the choice that a connection and a script's request make, a model's answer,
and what is written by hand or approved of a model's draft.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from pathlib import Path
from random import Random
from time import process_time
from unittest.mock import sentinel

if __package__ != "faults":  # started as a script or a module of the repository
    sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[2])]

from faults import figures
from shoal.accounts.account import Observation
from shoal.assistant.asking import ProposalKind
from shoal.assistant.rail_facts import Rail
from shoal.messages.manual_sending import Filtered, send_by_hand
from shoal.messages.outgoing import OutgoingMessage
from shoal.messages.replies import AnswerSource, Asked, choose
from support.messages.answer_ways import WAYS, account_by, said_by_model
from support.messages.filter_texts import named

PROOF = "filter"
_ASKED = Asked(text="在吗", chat_id="c", buyer_id="b", buyer_name="小鱼", item_id="1")
BY_HAND = "by_hand"
MODEL = "model"


async def passes(text: str) -> list[str]:
    """Return the ways by which the text leaves."""
    found = []
    for way in WAYS:
        choice = await choose(account_by(way, text), _ASKED)
        if choice.answer is not None and choice.answer.parts:
            found.append(str(way))
    proposal = await said_by_model(text)
    held = any(verdict.rail is Rail.FILTER and not verdict.passed for verdict in proposal.verdicts)
    if proposal.kind is not ProposalKind.BLOCKED or not held:
        found.append(MODEL)
    outgoing = OutgoingMessage(chat_id="c", buyer_id="b", text=text)
    try:
        account = account_by(AnswerSource.DEFAULT_REPLY, text)
        await send_by_hand(sentinel.live, sentinel.outbox, account, Observation(), outgoing, repeats=False)
    except Filtered:
        return found
    except AttributeError:  # it went on to the live connection, which is not there
        pass
    return [*found, BY_HAND]


async def leaks(texts: int, seed: int) -> list[tuple[str, list[str]]]:
    """Return the made-up texts that leave, each with its ways."""
    rng = Random(seed)
    found = []
    for _ in range(texts):
        text = named(rng)
        if ways := await passes(text):
            found.append((text, ways))
    return found


def main() -> int:
    """Run it unless it is done under this label; 1 when a text left."""
    parser = argparse.ArgumentParser(description="nothing that the output filter names leaves by any way")
    parser.add_argument("--texts", type=int, default=100_000, help="default %(default)s")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--run", default="", help="a label, such as the commit: what is done under it is not run again")
    parser.add_argument("--figures", type=Path, default=figures.DEFAULT_DIRECTORY / "filter.jsonl")
    chosen = parser.parse_args()
    if any(row["run"] == chosen.run for row in figures.read(chosen.figures) if chosen.run):
        return 0
    began = process_time()
    found = asyncio.run(leaks(chosen.texts, chosen.seed))
    seconds = process_time() - began
    row = {"run": chosen.run, "texts": chosen.texts, "ways": len(WAYS) + 2, "passed": len(found)}
    figures.append(chosen.figures, PROOF, row)
    told = f"{chosen.texts} texts by {row['ways']} ways: {len(found)} passed, {seconds:.0f} s of CPU"
    sys.stdout.write("\n  ".join([told, *(f"{text!r} by {', '.join(ways)}" for text, ways in found[:20])]) + "\n")
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main())
