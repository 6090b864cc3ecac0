"""TorchJD's methods with a state, through `state_dict`."""

import io
from functools import partial

import torch
from torchjd import aggregation
from torchjd import scalarization

CALLS = 3
NUM_TASKS = 3


def rows(call):
    """Three conflicting gradients of their own for each call."""
    torch.manual_seed(100 + call)
    values = torch.randn(NUM_TASKS, 8)
    return values - 1.1 * values.mean(dim=0)


def of_rows(method, call):
    given = rows(call)
    # The draws of GradVac.
    torch.manual_seed(call)
    return method(given)


def of_gramian(method, call):
    given = rows(call)
    return method(given @ given.T)


def losses(call):
    torch.manual_seed(200 + call)
    return torch.rand(NUM_TASKS) + 0.5


def effective(method, call):
    """The weights of the losses, as their derivatives show."""
    given = losses(call).requires_grad_()
    method(given).backward()
    return given.grad


def learned(method, call):
    """Those of methods whose parameters an optimizer of the user moves."""
    result = effective(method, call)
    with torch.no_grad():
        for parameter in method.parameters():
            parameter -= 0.1 * parameter.grad
            parameter.grad = None
    return result


def famo(method, call):
    result = effective(method, call)
    method.update(losses(call) * losses(call + 50))
    return result


def dwa(method, call):
    result = effective(method, call)
    method.step()
    return result


#: Name, maker, and what one call of it is.
METHODS = {
    "CRMOGM(MGDA)": (
        lambda: aggregation.CRMOGMWeighting(aggregation.MGDAWeighting()),
        of_gramian,
    ),
    "ExcessMTL": (aggregation.ExcessMTL, of_rows),
    "GradVac": (aggregation.GradVac, of_rows),
    "MoDo": (aggregation.MoDoWeighting, of_gramian),
    "NashMTL(update_weights_every=2)": (
        partial(aggregation.NashMTL, NUM_TASKS, update_weights_every=2),
        of_rows,
    ),
    "PCD": (partial(aggregation.PCD, 0.5), of_rows),
    "SDMGrad": (aggregation.SDMGradWeighting, of_gramian),
    "DWA": (scalarization.DWA, dwa),
    "FAMO": (partial(scalarization.FAMO, NUM_TASKS), famo),
    "IMTLL": (partial(scalarization.IMTLL, NUM_TASKS), learned),
    "UW": (partial(scalarization.UW, NUM_TASKS), learned),
}


def outputs(method, one_call):
    """Two more calls: the second shows what the first one left."""
    return torch.cat([one_call(method, CALLS + n) for n in range(2)])


def check(name):
    """Tells what happens to the state.

    Args:
        name: Key of `METHODS`.

    Returns:
        What happens, in words, for a fresh object and for one that has been
        called once, and whether a fresh object without the state would go on
        differently.
    """
    make, one_call = METHODS[name]
    try:
        method = make()
    except ImportError as error:
        return f"not measured: {error}", "", None
    for call in range(CALLS):
        one_call(method, call)
    file = io.BytesIO()
    torch.save(method.state_dict(), file)
    expected = outputs(method, one_call)
    matters = not torch.equal(outputs(make(), one_call), expected)
    answers = []
    for calls_before in (0, 1):
        file.seek(0)
        revived = make()
        for call in range(calls_before):
            one_call(revived, call)
        answers.append(revive(revived, torch.load(file), one_call, expected))
    return *answers, matters


def revive(method, saved, one_call, expected):
    try:
        method.load_state_dict(saved)
    except RuntimeError as error:
        kind = str(error).splitlines()[1].strip().split(":")[0]
        return f"raises ({kind})"
    if torch.equal(outputs(method, one_call), expected):
        return "the same"
    kept = ", ".join(f"`{key}`" for key in saved) or "nothing"
    return f"other values (saved: {kept})"
