"""Faults from outside: kills, failing disks, full disks, damaged files; and the canary that must not get out."""
