"""The networks that are timed, as torch modules with the same weights."""

import keras
import torch
from torch import nn

from steps.networks import ResidualBlock


class Network(nn.Module):
    """A problem's trunk and heads as torch modules, with the same weights.

    Args:
        problem: A built `Problem`.
    """

    def __init__(self, problem):
        super().__init__()
        shape = problem.x.shape[1:]
        are_images = len(shape) == 3
        channels_last = keras.config.image_data_format() == "channels_last"
        self.is_transposed = are_images and channels_last
        if are_images and not channels_last:
            shape = (*shape[1:], shape[0])
        self.trunk, shape = _sequence(problem.trunk.layers, shape)
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
        if self.is_transposed:
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


class _Residual(nn.Module):
    """Torch's form of a `ResidualBlock`."""

    def __init__(self, block, shape):
        super().__init__()
        self.residual, self.shape = _sequence(block.residual.layers, shape)
        self.shortcut, _ = _sequence(block.shortcut.layers, shape)

    def forward(self, inputs):
        return torch.relu(self.residual(inputs) + self.shortcut(inputs))


def _sequence(layers, shape):
    modules, i = [], 0
    while i < len(layers):
        layer, padding = layers[i], None
        if isinstance(layer, keras.layers.ZeroPadding2D):
            # Part of the convolution that follows.
            i += 1
            layer, padding = layers[i], layer.padding[0][0]
        converted, shape = _converted(layer, shape, padding)
        modules += converted
        i += 1
    return nn.Sequential(*modules), shape


def _converted(layer, shape, padding=None):
    """Torch modules like a Keras layer, and the shape of their output."""
    layers = keras.layers
    rows, columns, channels = shape if len(shape) == 3 else (None, None, None)
    match layer:
        case layers.Conv2D():
            module, size = _convolution(layer, shape, padding)
            return [module, *_activation(layer)], size
        case layers.Dense():
            module = _dense(layer, shape)
            return [module, *_activation(layer)], (layer.units,)
        case layers.BatchNormalization():
            return [_normalization(layer)], shape
        case ResidualBlock():
            block = _Residual(layer, shape)
            return [block], block.shape
        case layers.MaxPooling2D():
            size = layer.pool_size[0]
            shape = (rows // size, columns // size, channels)
            return [nn.MaxPool2d(size)], shape
        case layers.GlobalAveragePooling2D():
            # The mean, as Keras has it.
            return [nn.AdaptiveAvgPool2d(1), nn.Flatten()], (channels,)
        case layers.Flatten():
            return [nn.Flatten()], shape
        case layers.ReLU():
            return [nn.ReLU()], shape
    raise NotImplementedError(f"There is no torch module for {layer!r}.")


def _convolution(layer, shape, padding):
    kernel = layer.get_weights()[0]
    size, stride = kernel.shape[0], layer.strides[0]
    if padding is None:
        padding = size // 2 if layer.padding == "same" else 0
    module = nn.Conv2d(
        kernel.shape[2],
        kernel.shape[3],
        size,
        stride,
        padding,
        bias=layer.use_bias,
    )
    _fill(module.weight, kernel.transpose(3, 2, 0, 1))
    if layer.use_bias:
        _fill(module.bias, layer.get_weights()[1])
    places = [(n + 2 * padding - size) // stride + 1 for n in shape[:2]]
    return module, (*places, layer.filters)


def _dense(layer, shape):
    kernel, bias = layer.get_weights()
    if len(shape) == 3:
        # torch flattens channels first.
        kernel = kernel.reshape(*shape, layer.units).transpose(2, 0, 1, 3)
        kernel = kernel.reshape(-1, layer.units)
    module = nn.Linear(*kernel.shape)
    _fill(module.weight, kernel.T)
    _fill(module.bias, bias)
    return module


def _normalization(layer):
    # The same update of the averages, which the two count differently.
    return nn.BatchNorm2d(
        layer.get_weights()[0].shape[0], layer.epsilon, 1 - layer.momentum
    )


def _activation(layer):
    # torch's cross-entropy takes what comes before the softmax.
    return [nn.ReLU()] if layer.activation is keras.activations.relu else []


def _fill(parameter, value):
    with torch.no_grad():
        parameter.copy_(torch.tensor(value.copy()))
