"""torch: autograd on detached leaves, one retained graph for all tasks."""

import contextlib
import contextvars
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any

import torch
import torch.nn.attention
from keras import ops
from keras import tree
from torch._subclasses.fake_tensor import FakeTensor

from keras_mtl.backend import common
from keras_mtl.backend import torch_layout
from keras_mtl.backend.common import Result
from keras_mtl.typing import LossFunction
from keras_mtl.typing import Pullback
from keras_mtl.typing import Pushforward
from keras_mtl.typing import Tensor
from keras_mtl.typing import Variable

__all__ = [
    "RandomReplay",
    "compile_function",
    "differentiable",
    "global_random_state",
    "hessian_product",
    "linearize",
    "linearize_both_ways",
    "num_replicas",
    "reached_variables",
    "set_global_random_state",
    "sum_over_replicas",
    "supports_jit_compile",
    "synchronize",
    "to_host",
    "while_loop",
]

supports_jit_compile = False


def linearize(
    function: LossFunction, values: list[Tensor]
) -> tuple[list[Tensor], Any, Pullback]:
    losses, aux, pullback, _ = _recorded(function, values)
    return [loss.detach() for loss in losses], aux, pullback


def linearize_both_ways(
    function: LossFunction, values: list[Tensor]
) -> tuple[list[Tensor], Any, Pullback, Pushforward]:
    with twice_differentiable():
        losses, aux, pullback, leaves = _recorded(function, values)
    connected = [k for k, loss in enumerate(losses) if loss.requires_grad]
    # Gradients are linear in their seeds, by which they are differentiated.
    seeds = torch.ones(
        len(losses), dtype=losses[0].dtype, device=losses[0].device
    ).requires_grad_(True)
    pulled: Sequence[Any] = [None] * len(leaves)
    if connected and leaves:
        with torch.enable_grad():
            pulled = torch.autograd.grad(
                [losses[k] for k in connected],
                leaves,
                grad_outputs=[seeds[k] for k in connected],
                create_graph=True,
                allow_unused=True,
            )

    def pushforward(tangents: dict[int, Tensor]) -> Tensor:
        chosen = [i for i in tangents if pulled[i] is not None]
        if not chosen:
            return torch.zeros_like(seeds)
        (slopes,) = torch.autograd.grad(
            [pulled[i] for i in chosen],
            seeds,
            grad_outputs=[tangents[i] for i in chosen],
            retain_graph=True,
        )
        return slopes

    return [loss.detach() for loss in losses], aux, pullback, pushforward


def twice_differentiable() -> AbstractContextManager[None]:
    """A context whose attention can be differentiated twice."""
    # Not those of torch's fused kernels.
    return torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH)


def _recorded(
    function: LossFunction, values: list[Tensor]
) -> tuple[list[Tensor], Any, Pullback, list[Tensor]]:
    """Runs `function`; returns losses, aux, pullback and the leaves."""
    leaves = [value.detach().requires_grad_(True) for value in values]
    with torch.enable_grad():
        losses, aux = function(leaves)

    def pullback(
        cotangents: dict[int, Tensor], wanted: Sequence[int], last: bool = False
    ) -> list[Tensor]:
        chosen = {
            k: c for k, c in cotangents.items() if losses[k].requires_grad
        }
        if not chosen or not wanted:
            return [torch.zeros_like(values[i]) for i in wanted]
        gradients = torch.autograd.grad(
            [losses[k] for k in chosen],
            [leaves[i] for i in wanted],
            grad_outputs=[
                torch.as_tensor(
                    c, dtype=losses[k].dtype, device=losses[k].device
                )
                for k, c in chosen.items()
            ],
            # What is not needed again makes room for the next gradients.
            retain_graph=not last,
            allow_unused=True,
        )
        return [
            torch.zeros_like(values[i])
            if gradient is None
            # Not one that is broadcast from fewer entries.
            else gradient
            if torch_layout.is_dense(gradient)
            else gradient.contiguous()
            for i, gradient in zip(wanted, gradients, strict=True)
        ]

    return losses, aux, pullback, leaves


def differentiable(function: Callable[[], Result]) -> Result:
    if torch.is_grad_enabled():
        return function()
    with torch.enable_grad():
        results = function()
    return tree.map_structure(
        lambda value: value.detach() if torch.is_tensor(value) else value,
        results,
    )


def reached_variables(
    function: Callable[[list[Tensor]], list[Tensor]], values: list[Tensor]
) -> list[set[int]]:
    leaves = [value.detach().requires_grad_(True) for value in values]
    with torch.enable_grad():
        outputs = function(leaves)
    return reached_by(outputs, leaves)


def reached_by(
    outputs: Sequence[Tensor], leaves: Sequence[Tensor]
) -> list[set[int]]:
    reached = []
    for output in outputs:
        gradients: Sequence[Any] = [None] * len(leaves)
        if output.requires_grad:
            gradients = torch.autograd.grad(
                output,
                leaves,
                grad_outputs=torch.ones_like(output),
                retain_graph=True,
                allow_unused=True,
            )
        reached.append(
            {i for i, gradient in enumerate(gradients) if gradient is not None}
        )
    return reached


class RandomReplay(common.RandomReplay):
    """Repeats what torch's global generators draw.

    Unseeded `keras.layers.Dropout` uses these, not its `SeedGenerator`: without
    this the perturbed pass would see another mask.
    """

    def __init__(self) -> None:
        self._start = _generator_states()
        self._end = self._start

    @contextlib.contextmanager
    def __call__(self) -> Iterator[None]:
        with torch.random.fork_rng(enabled=True):
            _set_generator_states(self._start)
            yield

    def has_drawn(self) -> bool:
        return not _are_equal(self._start, _generator_states())

    def note_end(self) -> None:
        self._end = _generator_states()

    def is_at_end(self) -> bool:
        return _are_equal(self._end, _generator_states())


def _generator_states() -> list[Tensor]:
    """States of the global generators: of the CPU, then of the GPUs."""
    states = [torch.random.get_rng_state()]
    if torch.cuda.is_available() and torch.cuda.is_initialized():
        states.extend(torch.cuda.get_rng_state_all())
    return states


def _set_generator_states(states: list[Tensor]) -> None:
    torch.random.set_rng_state(states[0])
    if len(states) > 1:
        torch.cuda.set_rng_state_all(states[1:])


def _are_equal(states: list[Tensor], others: list[Tensor]) -> bool:
    return len(states) == len(others) and all(
        torch.equal(a, b) for a, b in zip(states, others, strict=True)
    )


def global_random_state() -> Any | None:
    return torch.random.get_rng_state().numpy()


def set_global_random_state(state: Any) -> None:
    torch.random.set_rng_state(torch.tensor(state, dtype=torch.uint8))


#: Whether this process is to compute as if there were no others.
_IS_ALONE = contextvars.ContextVar("is_alone", default=False)


@contextlib.contextmanager
def alone() -> Iterator[None]:
    token = _IS_ALONE.set(True)
    try:
        yield
    finally:
        _IS_ALONE.reset(token)


def num_replicas() -> int:
    if _IS_ALONE.get():
        return 1
    distributed = torch.distributed
    if distributed.is_available() and distributed.is_initialized():
        return distributed.get_world_size()
    return 1


def sum_over_replicas(tensors: list[Tensor]) -> list[Tensor]:
    if num_replicas() == 1 or not tensors:
        return tensors
    results = [None] * len(tensors)
    # One message for each dtype.
    for dtype in dict.fromkeys(tensor.dtype for tensor in tensors):
        places = [i for i, t in enumerate(tensors) if t.dtype == dtype]
        flat = torch.cat([tensors[i].detach().reshape(-1) for i in places])
        torch.distributed.all_reduce(flat)
        parts = flat.split([tensors[i].numel() for i in places])
        for i, part in zip(places, parts, strict=True):
            results[i] = part.reshape(tensors[i].shape)
    return results


def synchronize(variables: Sequence[Variable]) -> None:
    if num_replicas() == 1:
        return
    with torch.no_grad():
        for variable in variables:
            value = variable.value.detach().clone()
            torch.distributed.broadcast(value, src=0)
            variable.assign(value)


def to_host(tensors: Sequence[Tensor]) -> Any:
    if torch.compiler.is_compiling() or any(
        isinstance(tensor, FakeTensor) for tensor in tensors
    ):
        return None
    return [
        None
        if tensor is None
        else torch.as_tensor(tensor).detach().cpu().numpy()
        for tensor in tensors
    ]


def while_loop(
    cond: Callable[..., Tensor],
    body: Callable[..., Any],
    loop_vars: Sequence[Tensor],
    maximum_iterations: int | None = None,
) -> tuple[Tensor, ...]:
    """`keras.ops.while_loop`, without a host read where torch compiles."""
    if not torch.compiler.is_compiling():
        return ops.while_loop(
            cond, body, loop_vars, maximum_iterations=maximum_iterations
        )
    limit = 2**31 - 1 if maximum_iterations is None else maximum_iterations
    count = torch.zeros((), dtype=torch.int32, device=loop_vars[0].device)

    def proceed(count: Tensor, *state: Any) -> Tensor:
        return torch.logical_and(cond(*state), count < limit)

    def advance(count: Tensor, *state: Any) -> tuple[Tensor, ...]:
        # The operator takes no output that is one of its inputs.
        return (count + 1, *(value.clone() for value in body(*state)))

    return torch.while_loop(proceed, advance, (count, *loop_vars))[1:]


def hessian_product(
    function: Callable[[list[Tensor]], Tensor],
    values: list[Tensor],
    direction: list[Tensor],
) -> list[Tensor]:
    leaves = [value.detach().requires_grad_(True) for value in values]
    product: Sequence[Any] = [None] * len(leaves)
    with torch.enable_grad(), twice_differentiable():
        output = function(leaves)
        gradients = product
        if output.requires_grad:
            gradients = torch.autograd.grad(
                output, leaves, create_graph=True, allow_unused=True
            )
        # A gradient that is constant has no graph.
        pairs = [
            (gradient, part)
            for gradient, part in zip(gradients, direction, strict=True)
            if gradient is not None and gradient.requires_grad
        ]
    if pairs:
        outputs, cotangents = zip(*pairs, strict=True)
        product = torch.autograd.grad(
            outputs, leaves, grad_outputs=cotangents, allow_unused=True
        )
    return [
        torch.zeros_like(leaf) if part is None else part
        for leaf, part in zip(leaves, product, strict=True)
    ]


def compile_function(
    function: Callable[..., Any], run_eagerly: bool, jit_compile: bool | str
) -> Callable[..., Any]:
    del run_eagerly, jit_compile
    return function
