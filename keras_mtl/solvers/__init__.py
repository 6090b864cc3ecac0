"""Small dense solvers: exact, bounded, for the graph and the host alike."""
