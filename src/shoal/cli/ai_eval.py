"""Asks a shop's model each case of a file, as a trial does, and judges what it says."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table

from shoal.cli.api_client import ApiClient
from shoal.cli.cells import rows_table
from shoal.cli.commands.ai import money, why_words
from shoal.cli.eval_cases import Case, faults_of, read_cases, read_facts
from shoal.cli.rows import Answer
from shoal.cli.words import words
from shoal.errors import InvalidInput
from shoal.language.catalogue import knows
from shoal.sheets.xlsx import UnusableRows

_BUSY_SECONDS: Final = 3.0
_MOST_WAITS: Final = 100
_ENDS: Final = frozenset({"budget", "resting"})
"""Decisions after which no further case is asked: it would get the same."""
_MOST_FAULTS: Final = 10
_LONGEST_SHOWN: Final = 24


async def evaluated(
    client: ApiClient, account_id: str, data: bytes, name: str, *, runs: int, at_once: int
) -> dict[str, Any]:
    """Return the cases of a file with what happened in each run, and how many cases failed.

    Raises ``typer.BadParameter`` for a file that cannot be used.
    """
    with _reporting_faults(name):
        cases = read_cases(data, name)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        bar = progress.add_task(words("ai.evaluating"), total=len(cases) * runs)
        asked = _Asked(client, account_id, cases, runs, lambda: progress.advance(bar))
        await asked.all(at_once)
    found = [_judged(case, answers) for case, answers in zip(cases, asked.answers, strict=True)]
    return {
        "account": account_id,
        "passed": sum(one["passed"] for one in found),
        "failed": sum(not one["passed"] for one in found),
        "cost_microfen": sum(each["cost_microfen"] for one in found for each in one["runs"]),
        "cases": found,
    }


def facts_in(data: bytes, name: str) -> list[dict[str, str]]:
    """Return the facts of a file as the API takes them. Raises ``typer.BadParameter``."""
    with _reporting_faults(name):
        return [{"question": question, "answer": answer} for question, answer in read_facts(data, name)]


def report(found: dict[str, Any]) -> Table:
    """Return a table with one row per case: the verdict, what was answered, and why a case fails."""
    rows = (
        (one["name"], _short(one["question"]), _verdict(one), _text_of(one["runs"]), _reasons(one["runs"]))
        for one in found["cases"]
    )
    return rows_table(("case", "question", "verdict", "said", "reason"), rows)


def verdict(found: dict[str, Any]) -> str:
    """Return how many cases failed, and what all of them cost."""
    cost, count = money(found["cost_microfen"]), len(found["cases"])
    if found["failed"]:
        return words("ai.eval_failed", failed=found["failed"], count=count, cost=cost)
    return words("ai.eval_passed", count=count, cost=cost)


class _Asked:
    """The cases that are being asked, several at once, and the answers so far."""

    def __init__(
        self, client: ApiClient, account_id: str, cases: Sequence[Case], runs: int, done: Callable[[], object]
    ) -> None:
        self.answers: list[list[Answer]] = [[] for _ in cases]
        self._client, self._account_id, self._done = client, account_id, done
        self._left = iter([(place, case) for place, case in enumerate(cases) for _ in range(runs)])
        self._end: Answer | None = None
        """The answer after which nothing more is asked."""

    async def all(self, at_once: int) -> None:
        """Ask all cases. The first error ends it."""
        workers = [asyncio.create_task(self._work(), name=f"eval:{n}") for n in range(at_once)]
        try:
            await asyncio.gather(*workers)
        finally:
            for worker in workers:
                worker.cancel()
            await asyncio.gather(*workers, return_exceptions=True)

    async def _work(self) -> None:
        for place, case in self._left:
            answer = self._end if self._end is not None else await self._answer(case)
            if answer["decision"] in _ENDS:
                self._end = answer
            self.answers[place].append(answer)
            self._done()

    async def _answer(self, case: Case) -> Answer:
        """Ask one case, again while the provider has no room for a call in this minute."""
        body: Answer = {"text": case.question}
        if case.item:
            body["item_id"] = case.item
        if case.facts is not None:
            body["facts"] = [{"question": question, "answer": answer} for question, answer in case.facts]
        for _ in range(_MOST_WAITS):
            answer: Answer = await self._client.ask("POST /cookies/{cid}/ai/try", cid=self._account_id, body=body)
            if answer["decision"] != "busy":
                break
            await asyncio.sleep(_BUSY_SECONDS)
        return answer


def _judged(case: Case, answers: Sequence[Answer]) -> Answer:
    runs = [_run(case, answer) for answer in answers]
    passes = sum(not run["faults"] for run in runs)
    return {
        "name": case.name,
        "question": case.question,
        "passed": passes == len(runs),
        "passes": passes,
        "runs": runs,
    }


def _run(case: Case, answer: Answer) -> Answer:
    output = answer["output"]
    faults = faults_of(case, answer["decision"], answer["text"])
    return {
        "decision": answer["decision"],
        "text": answer["text"],
        "held_back": "" if answer["text"] or output is None else output["text"],
        "why": answer["why"],
        "rails": [rail["rail"] for rail in answer["rails"] if not rail["passed"]],
        "faults": [{"kind": kind, "word": word} for kind, word in faults],
        **{name: answer[name] for name in ("tokens_in", "tokens_out", "cost_microfen", "duration_ms")},
    }


def _verdict(one: Answer) -> str:
    word = words("ai.passed" if one["passed"] else "ai.failed")
    return word if len(one["runs"]) == 1 else f"{word} {one['passes']}/{len(one['runs'])}"


def _text_of(runs: Sequence[Answer]) -> str:
    """Return the text of the first run that failed, else of the first; without one what was decided."""
    run = next((run for run in runs if run["faults"]), runs[0])
    decided = words(f"ai.decisions.{run['decision']}")
    return str(run["text"] or (f"{decided} “{run['held_back']}”" if run["held_back"] else decided))


def _short(question: str) -> str:
    return question if len(question) <= _LONGEST_SHOWN else f"{question[: _LONGEST_SHOWN - 1]}…"


def _reasons(runs: Sequence[Answer]) -> str:
    found = [_fault(fault) for run in runs for fault in run["faults"]]
    found += [why_words(run["why"]) for run in runs if run["faults"] and run["why"]]
    return " · ".join(dict.fromkeys(found))


def _fault(fault: Answer) -> str:
    is_decision = fault["kind"] in {"action", "no_answer"}
    word = words(f"ai.decisions.{fault['word']}") if is_decision else fault["word"]
    return words(f"ai.faults.{fault['kind']}", word=word)


@contextmanager
def _reporting_faults(name: str) -> Iterator[None]:
    """Turn what is wrong with a file into a sentence about it, with the first of its rows.

    A row counts as the program that shows the file counts it, with its head; the cases of a list count from 1.
    """
    key = "ai.bad_case" if name.lower().endswith(".json") else "ai.bad_row"
    try:
        yield
    except UnusableRows as error:
        rows = [words(key, row=fault.row, detail=_sentence(fault.error)) for fault in error.faults[:_MOST_FAULTS]]
        raise typer.BadParameter("\n".join(rows), param_hint="FILE") from None
    except InvalidInput as error:
        raise typer.BadParameter(_sentence(error), param_hint="FILE") from None


def _sentence(error: InvalidInput) -> str:
    params = {name: ", ".join(value) if isinstance(value, list) else value for name, value in error.params.items()}
    if knows(f"ai.files.{error.code}"):
        return words(f"ai.files.{error.code}", **params)
    shared = f"problems.{error.code}"
    return words(shared, **params) if knows(shared) else str(error)
