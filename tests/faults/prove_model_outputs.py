"""The proof that no output of a model passes a rail that it breaks: 10,000 of them, over a real socket.

    python -m tests.faults.prove_model_outputs [--outputs 10000] [--seed 1128] [--run LABEL] [--figures FILE]

The sandbox's provider gives hostile, broken and good outputs, and fails in each of its ways between them. What must
become of an output is known from how it was made (``model_outputs``). Good ones that are held back are counted too.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import sys
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from time import perf_counter
from typing import Any

if __package__ != "faults":  # started as a script or a module of the repository
    sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[2])]

import structlog

from faults import figures
from shoal.assistant.asking import Proposal, ProposalKind, ask_model
from shoal.assistant.model_calls import ModelCalls, ModelFailed, RawAnswer
from shoal.assistant.prompt import Context, Fact, PromptMessage, instructions_of
from shoal.assistant.providers import ProviderKind
from shoal.assistant.rail_facts import RailFacts
from shoal.network.outbound import Outbound
from shoal.rules.output_filter import OutputFilter
from support.models.model_output_case import Case
from support.models.model_outputs import ALL, BENIGN_MAKERS, FACTS, OWNERS, PERSONA, case
from support.models.model_steps import a_target, served_model
from support.models.spec_outputs import HOSTILE_PAGE

PROOF = "model_outputs"
MAX_TOKENS = 400
PATIENCE_SECONDS = 0.5
"""How long a call may take here, so that a slow one costs the proof little."""
GIVES_NOTHING = (
    "slow", "429", "500", "401", "closed", "redirect", "huge", "page", "half_json", "wrong_schema", "not_json", "empty",
    "cut_off", "withheld", "injection",
)  # fmt: skip
"""Faults after which nothing may be said, whatever the output would have been."""
LIES = ("", "", "", "", "wrong_usage", "low_usage", "no_usage")
FAULTS_EVERY = 20
CONTEXT = Context(
    question="在吗，想问一下", persona=PERSONA, item_title=OWNERS[3], item_price_fen=10_000,
    facts=tuple(Fact("问", answer) for answer in OWNERS[:FACTS]), item_description=HOSTILE_PAGE,
)  # fmt: skip
_FILTER = OutputFilter(contacts=True, links=True, patterns="", floor_fen=None)


@dataclass(slots=True)
class Told:
    """What became of the outputs."""

    breaches: list[str] = field(default_factory=list)
    held_back: Counter[str] = field(default_factory=Counter)
    kinds: Counter[str] = field(default_factory=Counter)

    def take(self, made: Case, fault: str, proposal: Proposal | None) -> None:
        """Compare what became of an output with what must."""
        self.kinds[fault if fault in GIVES_NOTHING else made.kind] += 1
        kind = proposal.kind if proposal is not None else None
        failed = {verdict.rail.value for verdict in proposal.verdicts if not verdict.passed} if proposal else set()
        if fault in GIVES_NOTHING:
            wrong = kind not in (None, ProposalKind.UNREADABLE, ProposalKind.BLOCKED)
        elif made.bad:
            wrong = kind is not ProposalKind.UNREADABLE
        elif made.rail:
            wrong = kind is not ProposalKind.BLOCKED or made.rail not in failed
        else:
            wrong = False
            if kind is not ProposalKind.REPLY:
                self.held_back[", ".join(sorted(failed))] += 1
        if wrong or (proposal is not None and min(proposal.tokens_in, proposal.tokens_out) < 0):
            self.breaches.append(f"{fault or made.kind}: {kind} {sorted(failed)} {made.raw[:200]!r} {made.around}")


def facts_of(made: Case) -> RailFacts:
    """Return what the rails compare an output with."""
    common: dict[str, Any] = {
        "output_filter": _FILTER, "buyer_text": CONTEXT.question, "turns_left": 3, "floor_fen": 9_000,
        "price_fen": 10_000, "facts": FACTS, "owner_words": OWNERS, "instructions": instructions_of(CONTEXT),
    }  # fmt: skip
    return RailFacts(**common | made.around)


async def ask_all(outputs: int, seed: int) -> Told:
    """Ask for so many outputs, one after another, of a provider of either kind."""
    rng, told = Random(seed), Told()
    calls = ModelCalls(Outbound.of("all"), seconds=PATIENCE_SECONDS)
    try:
        async with served_model() as (base, provider):
            for number in range(outputs):
                made = case(rng, ALL)
                fault = rng.choice(GIVES_NOTHING) if number % FAULTS_EVERY == 0 else rng.choice(LIES)
                target = a_target(base, kind=rng.choice(list(ProviderKind)))
                provider.script([made.raw], cycles=True)
                provider.lay(fault, times=2, seconds=PATIENCE_SECONDS * 4)  # type: ignore[arg-type]

                async def call(prompt: list[PromptMessage], target: Any = target) -> RawAnswer:
                    return await calls.ask(target, prompt, MAX_TOKENS, context=CONTEXT)

                try:
                    proposal: Proposal | None = await ask_model(call, CONTEXT, facts_of(made), owner_id=1)
                except ModelFailed:
                    proposal = None
                    if fault not in GIVES_NOTHING:
                        told.breaches.append(f"{made.kind}: no answer, {made.raw[:200]!r}")
                told.take(made, fault, proposal)
    finally:
        await calls.close()
    return told


def main() -> int:
    """Run it unless it is done under this label; 1 when an output passed."""
    parser = argparse.ArgumentParser(description="no output of a model passes a rail that it breaks")
    parser.add_argument("--outputs", type=int, default=10_000, help="default %(default)s")
    parser.add_argument("--seed", type=int, default=1_128)
    parser.add_argument("--run", default="", help="a label, such as the commit: what is done under it is not run again")
    parser.add_argument("--figures", type=Path, default=figures.DEFAULT_DIRECTORY / "model_outputs.jsonl")
    chosen = parser.parse_args()
    if any(row["run"] == chosen.run for row in figures.read(chosen.figures) if chosen.run):
        return 0
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    began = perf_counter()
    told = asyncio.run(ask_all(chosen.outputs, chosen.seed))
    seconds = perf_counter() - began
    good = sum(told.kinds[make.__name__.removeprefix("_")] for _, make in BENIGN_MAKERS)
    held = sum(told.held_back.values())
    row = {"run": chosen.run, "seed": chosen.seed, "outputs": chosen.outputs, "breaches": len(told.breaches)}
    figures.append(chosen.figures, PROOF, {**row, "good": good, "good_held_back": held})
    sys.stdout.write(
        f"seed {chosen.seed}, {chosen.outputs} outputs in {seconds:.0f} s: {len(told.breaches)} breaches; "
        f"{held} of {good} good ones held back {dict(told.held_back)}\n  {dict(sorted(told.kinds.items()))}\n"
    )
    sys.stdout.write("".join(f"  {breach}\n" for breach in told.breaches[:20]))
    return int(bool(told.breaches))


if __name__ == "__main__":
    sys.exit(main())
