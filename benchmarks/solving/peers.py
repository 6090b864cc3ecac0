"""The same methods by TorchJD, in eager torch.

Its weightings with their defaults, as they come. Some need packages of
their own, and are left out without them.
"""

import warnings
from functools import partial

import torch
from torchjd import aggregation as torchjd


def torchjd_weightings(rows, gramian):
    """Returns functions without arguments that return weights, by method."""
    rows, gramian = torch.as_tensor(rows), torch.as_tensor(gramian)

    def of_gramian(make, *arguments):
        weighting = make(*arguments)
        return lambda: weighting(gramian).numpy()

    def nash():
        aggregator = torchjd.NashMTL(len(rows), max_norm=0.0)

        def weights():
            # Without a warm start: the answer has to come from the rows.
            aggregator.reset()
            return aggregator.weighting(rows).numpy()

        return weights

    # Of its own making: CVXPY cannot compile its Nash-MTL for reuse.
    warnings.filterwarnings("ignore", message=".*not DPP.*")
    makers = {
        "MGDA": partial(of_gramian, torchjd.MGDAWeighting),
        "CAGrad": partial(of_gramian, torchjd.CAGradWeighting, 0.4),
        "UPGrad": partial(of_gramian, torchjd.UPGradWeighting),
        "DualProj": partial(of_gramian, torchjd.DualProjWeighting),
        "NashMTL": nash,
        "FairGrad": partial(of_gramian, torchjd.FairGradWeighting, 2.0),
        "IMTLG": partial(of_gramian, torchjd.IMTLGWeighting),
        "AlignedMTL": partial(of_gramian, torchjd.AlignedMTLWeighting),
        "PCGrad": partial(of_gramian, torchjd.PCGradWeighting),
    }
    found = {}
    for name, make in makers.items():
        try:
            found[name] = make()
        except ImportError as error:
            print(f"Without TorchJD's {name}: {error}")
    return found
