"""Minutes of every fault on virtual time: each message is answered exactly once, or its outcome is explained."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from endurance.virtual_world import Figures, live

PROVE = bool(os.environ.get("SHOAL_PROVE"))
pytestmark = pytest.mark.timeout(600)


@pytest.fixture(autouse=True)
def _silence() -> Iterator[None]:
    before = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)
    structlog.configure(**before)


def _said(figures: Figures) -> str:
    """What is needed to find out what went wrong, and to run it again."""
    last = figures.log[-400:]
    return "\n".join([f"seed {figures.seed}, {figures.virtual_seconds} s:", *figures.violations, *last])


def test_without_faults_every_question_is_answered_once_and_every_order_served(tmp_path: Path) -> None:
    figures = live(1, 120, tmp_path, calm=True)
    assert not figures.violations, _said(figures)
    assert set(figures.outcomes) <= {
        "message answered once",
        "message answered along with a question",
        "message rightly unanswered",
        "order served, confirm: done",
    }
    assert figures.outcomes["message answered once"] > 10


@pytest.mark.parametrize("seed", range(100, 102) if not PROVE else range(100, 120))
def test_under_every_fault_a_message_is_answered_exactly_once_or_its_outcome_is_explained(
    seed: int, tmp_path: Path
) -> None:
    figures = live(seed, 420, tmp_path)
    assert not figures.violations, _said(figures)
    assert figures.outcomes["message answered once"] > 10
    assert figures.happened["rest"] == 1
