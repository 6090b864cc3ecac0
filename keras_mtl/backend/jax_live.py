"""JAX: gradients by variables as they are, and a batch before its step."""

import itertools
from collections.abc import Callable
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from keras_mtl.backend.jax import reached_variables
from keras_mtl.typing import Tensor
from keras_mtl.typing import Variable

__all__ = [
    "evaluate_live",
    "live_gradients",
    "live_reach",
    "peek",
]

#: Options of XLA for what runs once.
QUICKLY = {
    "xla_backend_optimization_level": "0",
    "xla_llvm_disable_expensive_passes": True,
}


def live_gradients(
    function: Callable[[], tuple[Tensor, list[Tensor]]],
    variables: Sequence[Variable],
) -> tuple[Tensor, list[Tensor], list[Tensor]]:
    before = [variable.value for variable in variables]

    def at(values: list[Tensor]) -> Any:
        _assign_all(variables, values)
        return function()

    try:
        (total, others), gradients = jax.value_and_grad(at, has_aux=True)(
            before
        )
    finally:
        _assign_all(variables, before)
    return total, others, gradients


def live_reach(
    function: Callable[[], list[Tensor]],
    variables: Sequence[Variable],
    run_eagerly: bool,
) -> list[set[int]]:
    before = [variable.value for variable in variables]

    def at(values: list[Tensor]) -> Any:
        _assign_all(variables, values)
        return function()

    try:
        return reached_variables(at, before)
    finally:
        _assign_all(variables, before)


def evaluate_live(
    function: Callable[[Any], list[Tensor]],
    variables: Sequence[Variable],
    data: Any,
    run_eagerly: bool,
) -> Any:
    before = [variable.value for variable in variables]

    def at(values: list[Tensor], data: Any) -> Any:
        _assign_all(variables, values)
        return function(data)

    try:
        if not run_eagerly:
            at = jax.jit(at, compiler_options=QUICKLY)
        results = at(before, data)
    except jax.errors.UnexpectedTracerError as error:
        raise ValueError(
            "A layer keeps what it has computed with from one pass to the "
            "next, where steps of a strategy cannot give it other values: take "
            "`@jax.jit` from its `call`, which is compiled with the step, or "
            "do not keep tensors in attributes."
        ) from error
    finally:
        _assign_all(variables, before)
    return [np.asarray(result) for result in results]


def peek(iterator: Any, count: int) -> tuple[Any, Any]:
    data = next(iterator)
    return data, itertools.chain([data], iterator)


def _assign_all(
    variables: Sequence[Variable], values: Sequence[Tensor]
) -> None:
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)
