"""The errors about language models, a part of the table of errors."""

from __future__ import annotations

from shoal.api.http.problem import Problem

MODEL_PROBLEMS = (
    # ── settings ──
    Problem("bad_ai_mode", 422),
    Problem("bad_ai_facts", 422, ("limit", "question", "answer")),
    Problem("bad_ai_number", 422, ("field", "low", "high"), codes="fields"),
    # ── providers of language models ──
    Problem("unknown_provider", 404),
    Problem("too_many_providers", 409, ("limit",)),
    Problem("provider_in_use", 409, ("shops",)),
    Problem("no_provider", 409),
    Problem("no_consent", 409, ("host",)),
    Problem("provider_url", 422, ("limit",)),
    Problem("provider_key", 422, ("limit",)),
    Problem("provider_text", 422, ("field", "limit"), codes="fields"),
    Problem("provider_number", 422, ("field", "least", "most"), codes="fields"),
    Problem("provider_consent", 422, ("host",)),
    # ── what the older system does ──
    Problem("old_ai_key", 403),
    Problem("old_ai_discount", 422),
    Problem("old_ai_provider", 409, ("host", "model")),
    # ── runs ──
    Problem("unknown_run", 404),
    Problem("run_closed", 409, ("state",), codes="run_state"),
)
