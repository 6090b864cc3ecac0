"""The same steps, written with torch and TorchJD."""

import itertools

import torch
from torchjd import aggregation
from torchjd.autojac import jac_to_grad
from torchjd.autojac import mtl_backward

from steps.networks import LEARNING_RATE
from steps.torch_modules import Network

#: By the names that our strategies have: TorchJD's aggregator for K tasks.
AGGREGATORS = {
    "mgda": lambda count: aggregation.MGDA(),
    "upgrad": lambda count: aggregation.UPGrad(),
    "pcgrad": lambda count: aggregation.PCGrad(),
    "cagrad": lambda count: aggregation.CAGrad(c=0.4),
    "nash_mtl": lambda count: aggregation.NashMTL(n_tasks=count),
    "aligned_mtl": lambda count: aggregation.AlignedMTL(),
    "fairgrad": lambda count: aggregation.FairGrad(alpha=1.0),
}


def plain_step(problem, learning_rate=LEARNING_RATE):
    """Prepares a step on the sum of the losses."""
    network = Network(problem)

    def backward(x, y):
        losses = network.task_losses(network.trunk(x), y)
        sum(losses).backward()
        return losses

    return _looped(network, problem, backward, learning_rate), network


def aggregated_step(problem, name, learning_rate=LEARNING_RATE):
    """Prepares a step of TorchJD with an aggregator."""
    network = Network(problem)
    aggregator = AGGREGATORS[name](len(problem.heads))
    shared = list(network.trunk.parameters())

    def backward(x, y):
        features = network.trunk(x)
        losses = network.task_losses(features, y)
        mtl_backward(losses, features=features)
        jac_to_grad(shared, aggregator)
        return losses

    return _looped(network, problem, backward, learning_rate), network


def flat_step(problem, rho, learning_rate=LEARNING_RATE):
    """Prepares a step of FS-MTL as a script has it.

    For each task: a backward pass, all weights moved in place along its
    gradient, forward and backward through the whole network, and back. The
    loss parts and the flat parts are aggregated by CAGrad.
    """
    network = Network(problem)
    aggregator = aggregation.CAGrad(c=0.4)
    shared = list(network.trunk.parameters())

    def backward(x, y):
        losses = network.task_losses(network.trunk(x), y)
        clean, sharp = [], []
        values = [
            [*shared, *head.parameters()] for head in network.heads.values()
        ]
        for loss, of_task in zip(losses, values, strict=True):
            clean.append(torch.autograd.grad(loss, of_task, retain_graph=True))
        for k, (of_task, gradients) in enumerate(
            zip(values, clean, strict=True)
        ):
            offsets = [
                *_scaled(gradients[: len(shared)], rho),
                *_scaled(gradients[len(shared) :], rho),
            ]
            kept = [value.detach().clone() for value in of_task]
            with torch.no_grad():
                for value, offset in zip(of_task, offsets, strict=True):
                    value.add_(offset)
            near = network.task_losses(network.trunk(x), y)[k]
            moved = torch.autograd.grad(near, of_task)
            with torch.no_grad():
                for value, old in zip(of_task, kept, strict=True):
                    value.copy_(old)
            sharp.append(_flat(moved[: len(shared)]))
            for value, gradient in zip(
                of_task[len(shared) :], moved[len(shared) :], strict=True
            ):
                value.grad = gradient
        clean = [_flat(gradients[: len(shared)]) for gradients in clean]
        clean, sharp = torch.stack(clean), torch.stack(sharp)
        update = aggregator(clean) + aggregator(sharp - clean)
        parts = update.split([value.numel() for value in shared])
        for value, part in zip(shared, parts, strict=True):
            value.grad = part.view_as(value)
        return losses

    return _looped(network, problem, backward, learning_rate), network


def _scaled(gradients, rho):
    """A perturbation of a length, along some gradients."""
    factor = rho / (_flat(gradients).norm() + 1e-12)
    return [gradient * factor for gradient in gradients]


def _flat(gradients):
    return torch.cat([gradient.flatten() for gradient in gradients])


def _looped(network, problem, backward, learning_rate):
    """A function that makes one step on the problem's batch."""
    optimizer = torch.optim.SGD(network.parameters(), learning_rate)
    batches = itertools.repeat(network.batch(problem))

    def step():
        optimizer.zero_grad()
        losses = backward(*next(batches))
        optimizer.step()
        [loss.item() for loss in losses]

    return step
