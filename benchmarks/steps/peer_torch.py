"""The same networks and steps, written with torch and TorchJD."""

import itertools

import keras
import torch
from torch import nn
from torchjd import aggregation
from torchjd.autojac import jac_to_grad
from torchjd.autojac import mtl_backward

from steps.networks import LEARNING_RATE

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


class Network(nn.Module):
    """A problem's trunk and heads as torch modules, with the same weights.

    Args:
        problem: A built `Problem`.
    """

    def __init__(self, problem):
        super().__init__()
        self.channels_last = problem.x.ndim == 4
        shape = problem.x.shape[1:]
        layers = []
        for layer in problem.trunk.layers:
            converted, shape = _converted(layer, shape)
            layers += converted
        self.trunk = nn.Sequential(*layers)
        self.heads = nn.ModuleDict(
            {
                task: nn.Sequential(*_converted(head, shape)[0])
                for task, head in problem.heads.items()
            }
        )
        self.losses = {
            task: nn.CrossEntropyLoss()
            if isinstance(loss, keras.losses.SparseCategoricalCrossentropy)
            else nn.MSELoss()
            for task, loss in problem.losses.items()
        }

    def batch(self, problem):
        """The problem's batch as tensors."""
        x = torch.as_tensor(problem.x)
        if self.channels_last:
            x = x.permute(0, 3, 1, 2).contiguous()
        y = {}
        for task, labels in problem.y.items():
            labels = torch.as_tensor(labels)
            y[task] = labels if labels.is_floating_point() else labels.long()
        return x, y

    def task_losses(self, features, y):
        """The losses by task."""
        return [
            self.losses[task](head(features), y[task])
            for task, head in self.heads.items()
        ]


def _converted(layer, shape):
    """Torch modules like a Keras layer, and the shape of their output."""
    layers = keras.layers
    kind = type(layer)
    if kind is layers.Conv2D:
        kernel, bias = layer.get_weights()
        rows, columns, _, channels = kernel.shape
        module = nn.Conv2d(kernel.shape[2], channels, (rows, columns))
        _fill(module, kernel.transpose(3, 2, 0, 1), bias)
        shape = (shape[0] - rows + 1, shape[1] - columns + 1, channels)
        return [module, *_activation(layer)], shape
    if kind is layers.MaxPooling2D:
        size = layer.pool_size[0]
        shape = (shape[0] // size, shape[1] // size, shape[2])
        return [nn.MaxPool2d(size)], shape
    if kind is layers.Flatten:
        return [nn.Flatten()], shape
    if kind is layers.Dense:
        kernel, bias = layer.get_weights()
        units = kernel.shape[1]
        if len(shape) == 3:
            # torch flattens channels first.
            kernel = kernel.reshape(*shape, units).transpose(2, 0, 1, 3)
            kernel = kernel.reshape(-1, units)
        module = nn.Linear(*kernel.shape)
        _fill(module, kernel.T, bias)
        return [module, *_activation(layer)], (units,)
    raise NotImplementedError(f"There is no torch module for {kind.__name__}.")


def _activation(layer):
    # torch's cross-entropy takes what comes before the softmax.
    return [nn.ReLU()] if layer.activation is keras.activations.relu else []


def _fill(module, weight, bias):
    with torch.no_grad():
        module.weight.copy_(torch.tensor(weight.copy()))
        module.bias.copy_(torch.tensor(bias))


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
            norm = _flat(gradients).norm()
            kept = [value.detach().clone() for value in of_task]
            with torch.no_grad():
                for value, gradient in zip(of_task, gradients, strict=True):
                    value.add_(gradient * (rho / (norm + 1e-12)))
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
