"""The parts of `step_time.py`, and what the other scripts share."""
