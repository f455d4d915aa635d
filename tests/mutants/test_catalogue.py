"""Every defect still fits the sources, and every test that must notice it exists."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

import shoal
from mutants.all import NOTICED
from mutants.catalogue import Noticed

SOURCE = Path(shoal.__file__).parent
ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("defect", NOTICED, ids=lambda defect: defect.mutation.name)
def test_a_defect_fits_once_leaves_python_and_has_a_test(defect: Noticed, tmp_path: Path) -> None:
    assert defect.mutation.misfits(SOURCE) == []
    for edit in defect.mutation.edits:
        (tmp_path / edit.file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(SOURCE / edit.file, tmp_path / edit.file)
    defect.mutation.apply(tmp_path)
    for edit in defect.mutation.edits:
        compile((tmp_path / edit.file).read_text(encoding="utf-8"), edit.file, "exec")
    assert defect.tests
    for test in defect.tests:
        file, name = test.partition("[")[0].split("::")
        assert re.search(rf"def {re.escape(name)}\(", (ROOT / file).read_text(encoding="utf-8")), test


def test_no_two_defects_have_one_name() -> None:
    names = [defect.mutation.name for defect in NOTICED]
    assert len(names) == len(set(names))
