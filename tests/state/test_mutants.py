"""Every mutation still fits the sources, so that ``python -m tests.state.mutants.run`` means what it says."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import shoal
from state.mutants.mutations import MUTATIONS, Edit, Mutation

SOURCE = Path(shoal.__file__).parent


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.name)
def test_a_mutation_fits_once_and_leaves_python(mutation: Mutation, tmp_path: Path) -> None:
    assert mutation.misfits(SOURCE) == []
    for edit in mutation.edits:
        (tmp_path / edit.file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(SOURCE / edit.file, tmp_path / edit.file)
    mutation.apply(tmp_path)
    for edit in mutation.edits:
        compile((tmp_path / edit.file).read_text(encoding="utf-8"), edit.file, "exec")


def test_a_mutation_that_does_not_fit_is_no_mutation(tmp_path: Path) -> None:
    (tmp_path / "some.py").write_text("a = 1\na = 1\n")
    for old in ("a = 1", "b"):
        with pytest.raises(ValueError, match="times in some"):
            Mutation("some", (Edit("some.py", old, "c"),)).apply(tmp_path)
