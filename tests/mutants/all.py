"""Every defect of the lists, one after another."""

from __future__ import annotations

from mutants import state_and_access
from mutants.catalogue import Noticed

NOTICED: tuple[Noticed, ...] = state_and_access.NOTICED
