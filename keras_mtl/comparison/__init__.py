"""Runs of strategies, backends and seeds, side by side.

The harness of `python -m keras_mtl compare` and `python -m keras_mtl demo`: the
parent process says what is to do (`Work`), starts one worker process per
backend and writes the reports; a worker trains. What they have in common is the
folder of results, in which each finished job is a file of its own.
"""

from keras_mtl.comparison.data import Problem as Problem

__all__ = ["Problem"]
