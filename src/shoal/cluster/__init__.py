"""Which server may run an account: leases, nodes, and the shards that they divide among them."""
