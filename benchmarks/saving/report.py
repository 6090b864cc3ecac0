"""The tables of `state.py`."""

import importlib

import keras
from steps import table

from saving import ours

ANSWERS = {True: "yes", False: "no", None: ""}


def work(quick, with_peers):
    """Prints the tables on the backend of the process."""
    backend = keras.backend.backend()
    print(f"\n## {backend}, keras {keras.__version__}\n")
    names = list(ours.METHODS)[:3] if quick else list(ours.METHODS)
    lines = [["method", "goes on the same", "without state it does not"]]
    kept = 0
    for name in names:
        same, matters = ours.check(ours.METHODS[name])
        kept += same
        lines.append([name, ANSWERS[same], ANSWERS[matters]])
    print(table.aligned(lines))
    print(f"\nOurs: {kept} of {len(names)} go on the same", flush=True)
    if not with_peers or backend != "torch":
        return
    peers = importlib.import_module("saving.torchjd_states")
    head = "fresh object", "called once before", "without state it does not"
    lines = [["TorchJD: `load_state_dict`", *head]]
    kept = 0
    for name in peers.METHODS:
        fresh, called, matters = peers.check(name)
        kept += fresh == "the same"
        lines.append([name, fresh, called, ANSWERS[matters]])
    print()
    print(table.aligned(lines))
    print(
        f"\nTorchJD: {kept} of {len(peers.METHODS)} go on the same, in fresh "
        "objects"
    )
