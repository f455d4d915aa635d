"""The errors of moving in from another system: code, HTTP status, and the params that answers may show."""

from __future__ import annotations

from typing import Final

from shoal.api.http.problem import Problem

_NOT_MOVED: Final = (
    "empty_file", "unreadable", "unknown_file", "other_database", "damaged", "not_json", "no_tables", "no_inserts",
    "pg_archive", "dump_cut_off", "archive_damaged", "no_data_file", "no_env", "not_env",
    "too_costly",
)  # fmt: skip
"""Why a file of another system cannot be moved in."""

MOVING_PROBLEMS: Final = (
    Problem("unknown_import", 404),
    *(Problem(f"moving_{what}", 409) for what in ("under_way", "not_done", "sends_already")),
    Problem("old_system_runs", 409),
    Problem("moving_user_gone", 409, ("name",)),
    Problem("moving_choose_user", 422, ("names",)),
    Problem("moving_unknown_user", 422, ("name", "names")),
    Problem("moving_unknown_user/near", 422, ("name", "near", "names")),
    *(Problem(f"moving_{what}", 422) for what in _NOT_MOVED),
    *(Problem(f"moving_{what}", 422, ("limit",)) for what in ("many_names", "too_much")),
    Problem("moving_too_large", 413, ("limit",)),
    Problem("moving_several_files", 422, ("names",)),
    Problem("moving_computed", 422, ("table",)),
    Problem("moving_unpacks_large", 422, ("size", "limit")),
    Problem("moving_no_room", 503, ("need", "free")),
    Problem("moving_not_stored", 503),
    Problem("unknown_import_plan", 404),
)
