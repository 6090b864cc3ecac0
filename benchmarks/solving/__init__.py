"""The parts of `solvers.py`."""
