"""Every mutation still fits the sources, so that ``python -m tests.endurance.mutants.run`` means what it says."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import shoal
from endurance.mutants.mutations import CERTAIN, MUTATIONS
from state.mutants.mutations import Mutation

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


def test_each_certain_test_exists_and_is_that_of_a_mutation() -> None:
    assert CERTAIN.keys() <= {mutation.name for mutation in MUTATIONS}
    for test in CERTAIN.values():
        file, name = test.split("::")
        assert f"async def {name}(" in (Path(__file__).parents[2] / file).read_text(encoding="utf-8")
