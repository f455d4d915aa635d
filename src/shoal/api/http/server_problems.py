"""The errors about the server itself: its keys, its backups, and the other servers of its database."""

from __future__ import annotations

from typing import Final

from shoal.api.http.problem import Problem

OF_THE_SERVER: Final = (
    Problem("keys_from_setting", 409),
    Problem("rotation_under_way", 409, ("values",)),
    Problem("old_key_needed", 409, ("values",)),
    Problem("no_old_key", 409),
    Problem("unknown_node", 404, ("name",)),
    Problem("one_server", 409),
    Problem("drained_by_server", 409, ("worker", "name")),
    Problem("owner_unreachable", 503, ("node",)),
    Problem("owner_untrusted", 503, ("node",)),
    Problem("owner_changing", 503),
    Problem("owner_silent", 503, ("node",)),
    Problem("node_unreachable", 503, ("node",)),
    Problem("node_untrusted", 503, ("node",)),
    Problem("node_gone", 503, ("node",)),
    Problem("node_silent", 503, ("node",)),
    Problem("qr_login_left", 409, ("node",)),
    Problem("not_signed", 403),
    Problem("last_node", 409, ("name",)),
    Problem("backups_off", 409),
    Problem("backup_running", 409),
    Problem("key_file_unwritable", 503),
    Problem("key_file_gone", 503),
    Problem("key_file_unusable", 503),
    Problem("key_file_changed", 503),
)
