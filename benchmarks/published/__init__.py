"""The parts of `deviations.py`."""
