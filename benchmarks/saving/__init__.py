"""The parts of `state.py`."""
