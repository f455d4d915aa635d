"""Pictures that users and sellers send: stored by name, and uploaded to the site once for each account."""
