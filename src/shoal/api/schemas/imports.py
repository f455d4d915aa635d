"""Moving in as JSON: what a file of another system holds, and what an import brought."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal

from pydantic import BaseModel

from shoal.api.schemas.filled import filled
from shoal.api.schemas.request_texts import Text, body_example
from shoal.api.schemas.responses import example, maybe_rfc3339, rfc3339
from shoal.language.catalogue import knows, translate
from shoal.language.choice import Language
from shoal.maintenance.moving.kept_plans import KeptPlan
from shoal.maintenance.moving.moving import Started, StartOutcome
from shoal.maintenance.moving.old_shop import Fate, Oddity
from shoal.maintenance.moving.plan import WasOn
from shoal.maintenance.moving.run_store import Run, RunState

FateShape = Literal["taken", "changed", "skipped", "waiting", "known"]
SourceShape = Literal["legacy", "autoagent", "ydisks"]
StateShape = Literal["running", "done", "stopped"]
OutcomeShape = Literal["on", "was_on", "gone", "stays_off", "failed"]

_COUNTS = [{"kind": "rules", "taken": 120, "changed": 2, "skipped": 1, "waiting": 0, "known": 0}]
_WAS_ON = [{"kind": "accounts", "id": "afu", "name": "afu", "stays_off": None}]
_PLAN: dict[str, Any] = {
    "plan_id": "kQ3yXw0N9m2bV7aP", "source": "legacy", "file_name": "xianyu_data.db", "counts": _COUNTS,
    "was_on": _WAS_ON, "oddities": 3,
}  # fmt: skip
_RUN: dict[str, Any] = {
    "id": 3, "state": "done", "source": "legacy", "file_name": "xianyu_data.db", "done": 1204, "total": 1204,
    "counts": _COUNTS, "was_on": _WAS_ON, "problem": None, "can_turn_on": True, "turned_on_at": None,
    "started_at": "2026-01-02T03:04:05.000Z", "ended_at": "2026-01-02T03:04:09.000Z",
}  # fmt: skip


class KindCounts(BaseModel):
    """How many rows of one kind meet which fate. `waiting`: kept, for a function that there is not yet. `known`: they
    came before.
    """

    model_config = example(**_COUNTS[0])
    kind: str
    taken: int
    changed: int
    skipped: int
    waiting: int
    known: int


class WasOnShape(BaseModel):
    """Something that was on in the other system and comes switched off.

    `stays_off`: why it is not turned on with the rest. Its owner decides, and turns it on.
    """

    model_config = example(**_WAS_ON[0])
    kind: str
    id: str
    name: str
    stays_off: str | None


class ImportPlan(BaseModel):
    """What a file holds and what would become of it. `oddities`: how many rows do not simply come."""

    model_config = example(**_PLAN)
    plan_id: str
    source: SourceShape
    file_name: str
    counts: list[KindCounts]
    was_on: list[WasOnShape]
    oddities: int


class ImportRow(BaseModel):
    """A row that does not simply come. `row` is what identifies it in its `table` there."""

    model_config = example(
        table="keywords", row="keyword=在吗", code="reply_too_long", fate="skipped", detail="回复超过 4,000 字"
    )
    table: str
    row: str
    code: str
    fate: FateShape
    detail: str


class ImportRows(BaseModel):
    """A page of rows."""

    model_config = example(items=[], next=None)
    items: list[ImportRow]
    next: str | None


class BeginBody(BaseModel):
    """The plan to carry out."""

    model_config = body_example(plan_id="kQ3yXw0N9m2bV7aP")
    plan_id: Text


class ImportRun(BaseModel):
    """An import. `stopped`: the server ended or something failed on the way; the same file again goes on."""

    model_config = example(**_RUN)
    id: int
    state: StateShape
    source: SourceShape
    file_name: str
    done: int
    total: int
    counts: list[KindCounts]
    was_on: list[WasOnShape]
    problem: str | None
    can_turn_on: bool
    turned_on_at: str | None
    started_at: str
    ended_at: str | None


class ImportRunList(BaseModel):
    """Imports, the newest first."""

    model_config = example(items=[_RUN])
    items: list[ImportRun]


class StartBody(BaseModel):
    """That the other system is stopped: otherwise buyers would hear both."""

    model_config = body_example(old_system_stopped=True)
    old_system_stopped: bool = False


class StartedOne(BaseModel):
    """What became of one thing that was on. `problem`: why it is not on now."""

    model_config = example(kind="accounts", id="afu", name="afu", outcome="on", problem=None)
    kind: str
    id: str
    name: str
    outcome: OutcomeShape
    problem: str | None


class StartedAll(BaseModel):
    """What became of each."""

    model_config = example(items=[{"kind": "accounts", "id": "afu", "name": "afu", "outcome": "on", "problem": None}])
    items: list[StartedOne]


class PlanForgotten(BaseModel):
    """The plan was forgotten."""

    model_config = example(msg="forgotten")
    msg: str = "forgotten"


def plan_shape(kept: KeptPlan, language: Language) -> ImportPlan:
    """Return a plan as JSON."""
    plan = kept.plan
    return ImportPlan(
        plan_id=kept.id,
        source=plan.source.value,
        file_name=kept.file_name,
        counts=_counts(plan.counts),
        was_on=_was_on(plan.was_on, language),
        oddities=len(plan.oddities),
    )


def row_shape(odd: Oddity, language: Language) -> ImportRow:
    """Return a row that does not simply come as JSON."""
    return ImportRow(
        table=odd.table, row=odd.row, code=odd.code, fate=odd.fate.value, detail=oddity_sentence(odd, language)
    )


def run_shape(run: Run, language: Language) -> ImportRun:
    """Return an import as JSON."""
    return filled(
        ImportRun,
        run,
        state=run.state.value,
        source=run.source.value,
        counts=_counts(run.counts),
        was_on=_was_on(run.was_on, language),
        problem=_problem(run.why, language) if run.why else None,
        can_turn_on=run.state is RunState.DONE and any(not one.stays_off for one in run.was_on),
        turned_on_at=maybe_rfc3339(run.started_at_ms),
        started_at=rfc3339(run.created_at_ms),
    )


def started_shape(started: Iterable[Started], language: Language) -> StartedAll:
    """Return what became of what was on as JSON."""
    return StartedAll(
        items=[
            StartedOne(
                kind=one.kind.value,
                id=one.id,
                name=one.name,
                outcome=one.outcome.value,
                problem=_not_on(one, language),
            )
            for one in started
        ]
    )


def _not_on(one: Started, language: Language) -> str | None:
    if one.outcome is StartOutcome.GONE:
        return translate("moving.gone", language)
    if one.outcome is StartOutcome.STAYS_OFF:
        return _why_off(one.why, language)
    return _problem(one.why, language) if one.outcome is StartOutcome.FAILED else None


def _problem(code: str, language: Language) -> str:
    """Return the sentence of an error's code; a general one for a code that is not shown."""
    key = f"problems.{code}"
    return translate(key, language) if knows(key) else translate("moving.failed", language)


def _counts(counts: Mapping[str, Mapping[str, int]]) -> list[KindCounts]:
    return [
        KindCounts(kind=kind, **{fate.value: of_kind.get(fate.value, 0) for fate in Fate})
        for kind, of_kind in counts.items()
    ]


def _was_on(was_on: Iterable[WasOn], language: Language) -> list[WasOnShape]:
    return [
        WasOnShape(kind=one.kind.value, id=one.id, name=one.name, stays_off=_why_off(one.stays_off, language))
        for one in was_on
    ]


def _why_off(code: str, language: Language) -> str | None:
    return translate(f"moving.odd.{code}", language) if code else None


def oddity_sentence(odd: Oddity, language: Language) -> str:
    """Return the sentence of an oddity. ``problem`` among its params is the code of an error, whose sentence is part
    of it."""
    params = dict(odd.params)
    problem = params.pop("problem", "")
    if problem:
        key = f"problems.{problem}"
        params["why"] = translate(key, language, **odd.params) if knows(key) else problem
    return translate(f"moving.odd.{odd.code}", language, **params)
