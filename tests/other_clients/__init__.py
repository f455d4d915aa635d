"""Other clients of the site, run as they are against the strict sandbox (``tests/faults/prove_other_clients.py``)."""
