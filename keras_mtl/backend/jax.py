"""JAX: gradients by a linearised forward pass."""

import functools
from collections.abc import Callable
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental.compilation_cache import compilation_cache
from keras import ops

from keras_mtl.typing import LossFunction
from keras_mtl.typing import Pullback
from keras_mtl.typing import Pushforward
from keras_mtl.typing import Tensor
from keras_mtl.typing import Variable

__all__ = [
    "after",
    "as_assigned",
    "check_stranger",
    "compile_function",
    "computed_once",
    "end_of_pass",
    "hessian_product",
    "keep_compiled",
    "linearize",
    "linearize_both_ways",
    "reached_variables",
    "to_host",
]


def linearize(
    function: LossFunction, values: list[Tensor]
) -> tuple[list[Tensor], Any, Pullback]:
    losses, aux, pullback, _ = linearize_both_ways(function, values)
    return losses, aux, pullback


def linearize_both_ways(
    function: LossFunction, values: list[Tensor]
) -> tuple[list[Tensor], Any, Pullback, Pushforward]:
    losses, linear, aux = jax.linearize(function, values, has_aux=True)

    has_custom_gradients = functools.cache(
        lambda: _has_custom_gradients(function, values)
    )

    def pushforward(tangents: dict[int, Tensor]) -> Tensor:
        if has_custom_gradients():
            # They say how gradients come back, not what goes forth.
            return _transposed_twice(linear, values, losses, tangents)
        return jnp.stack(
            linear(
                [
                    tangents[i] if i in tangents else jnp.zeros_like(value)
                    for i, value in enumerate(values)
                ]
            )
        )

    def pullback(
        cotangents: dict[int, Tensor], wanted: Sequence[int], last: bool = False
    ) -> list[Tensor]:
        # Transposing only the chosen losses lets XLA drop the other heads,
        # which a vjp with zero cotangents would run through.
        def chosen(tangents: list[Tensor]) -> list[Tensor]:
            outputs = linear(tangents)
            return [outputs[k] for k in cotangents]

        seeds = [
            ops.cast(cotangent, losses[k].dtype)
            for k, cotangent in cotangents.items()
        ]
        (gradients,) = jax.linear_transpose(chosen, values)(seeds)
        return [gradients[i] for i in wanted]

    return losses, aux, pullback, pushforward


def as_assigned(value: Tensor) -> Tensor:
    # In steps of Keras, too, state is a value like all others.
    return value


def check_stranger(variable: Variable) -> None:
    raise ValueError(
        f"The forward pass assigns to the variable {variable.path!r}, which no "
        "layer of the model holds: on JAX a compiled step cannot keep it, with "
        "any strategy or none. Make it, or the `keras.random.SeedGenerator` or "
        "metric that has it, an attribute of a layer, set in its `__init__`; "
        "for a recurrent layer use `stateful=False`."
    )


def _has_custom_gradients(function: LossFunction, values: list[Tensor]) -> bool:
    """Whether there is a `jax.custom_vjp` in a pass."""
    jaxpr = jax.make_jaxpr(lambda point: function(point)[0])(values).jaxpr
    found = [jaxpr]
    while found:
        for equation in found.pop().eqns:
            if equation.primitive.name.startswith("custom_vjp_call"):
                return True
            found.extend(
                getattr(part, "jaxpr", part)
                for part in jax.tree.leaves(list(equation.params.values()))
                if hasattr(getattr(part, "jaxpr", part), "eqns")
            )
    return False


def _transposed_twice(
    linear: Callable[..., list[Tensor]],
    values: list[Tensor],
    losses: list[Tensor],
    tangents: dict[int, Tensor],
) -> Tensor:
    """Slopes along a direction, from gradients, which are linear in seeds."""
    chosen = list(tangents)

    def pulled(seeds: list[Tensor]) -> list[Tensor]:
        (gradients,) = jax.linear_transpose(linear, values)(list(seeds))
        return [gradients[i] for i in chosen]

    seeds = [jnp.ones((), loss.dtype) for loss in losses]
    _, pullback = jax.vjp(pulled, seeds)
    (slopes,) = pullback([tangents[i] for i in chosen])
    return jnp.stack(slopes)


def after(value: Tensor, other: Tensor) -> Tensor:
    # XLA removes barriers on CPUs, and then computes all values first. It does
    # not look into a sort: here one by constant keys, whatever the values are.
    values = jnp.stack([value, ops.cast(other[0], value.dtype)])
    keys = jnp.arange(2, dtype="int32")
    return jax.lax.sort((keys, values), num_keys=1)[1][0]


def end_of_pass(gradients: Sequence[Tensor]) -> Tensor | None:
    # On CPUs, XLA begins what it can as soon as it can: K passes at once, with
    # K copies of perturbed weights and of activations. On accelerators it
    # saves memory by itself. With several devices, an entry of a tensor would
    # have to be fetched from one of them.
    if jax.default_backend() != "cpu" or jax.device_count() > 1:
        return None
    # Which of them is the last is not known.
    entries = [
        gradient[(0,) * gradient.ndim]
        for gradient in gradients
        if gradient.size
    ]
    return jnp.sum(jnp.stack(entries), keepdims=True) if entries else None


def reached_variables(
    function: Callable[[list[Tensor]], list[Tensor]], values: list[Tensor]
) -> list[set[int]]:

    def gradients(values: list[Tensor], seeds: list[float]) -> list[Tensor]:
        outputs, pullback = jax.vjp(function, values)
        cotangents = [
            jnp.full_like(output, seed)
            for output, seed in zip(outputs, seeds, strict=True)
        ]
        return pullback(cotangents)[0]

    count = len(jax.eval_shape(function, values))
    jaxpr = jax.make_jaxpr(gradients)(values, [1.0] * count).jaxpr
    # A gradient that depends on an output's seed is one of that output.
    inputs = [
        *(set() for _ in values),
        *({output} for output in range(count)),
    ]
    found = _trace_dependencies(jaxpr, inputs)
    return [
        {i for i, outputs in enumerate(found) if output in outputs}
        for output in range(count)
    ]


def _trace_dependencies(
    jaxpr: Any, inputs: Sequence[set[int]]
) -> list[set[int]]:
    """Follows sets of input indices through a jaxpr to its outputs."""
    known: dict[Any, set[int]] = dict(zip(jaxpr.invars, inputs, strict=True))

    def read(atom: Any) -> set[int]:
        # Literals and constants depend on nothing; they are not hashable.
        return set() if hasattr(atom, "val") else known.get(atom, set())

    for equation in jaxpr.eqns:
        sources = [read(atom) for atom in equation.invars]
        inner = _called_jaxpr(equation)
        if inner is not None:
            results = _trace_dependencies(inner, sources)
        else:
            # Loops and branches are taken as a whole.
            results = [set().union(*sources)] * len(equation.outvars)
        known.update(zip(equation.outvars, results, strict=True))
    return [read(atom) for atom in jaxpr.outvars]


def _called_jaxpr(equation: Any) -> Any | None:
    """The jaxpr of a call with the same inputs and outputs, if it is one."""
    for value in equation.params.values():
        inner = getattr(value, "jaxpr", value)
        if (
            hasattr(inner, "eqns")
            and len(inner.invars) == len(equation.invars)
            and len(inner.outvars) == len(equation.outvars)
            and equation.primitive.name not in ("scan", "while", "cond")
        ):
            return inner
    return None


def to_host(tensors: Sequence[Tensor]) -> Any:
    if any(isinstance(tensor, jax.core.Tracer) for tensor in tensors):
        return None
    return [
        None if tensor is None else np.asarray(tensor) for tensor in tensors
    ]


def computed_once(condition: Tensor) -> Tensor:
    # XLA copies cheap operations into all that depends on them: here a look at
    # each gradient into the assignment of each variable, which with many heads
    # takes long to compile. It does not copy a sort, nor does it remove one,
    # and on CPUs it has removed barriers by then.
    return jax.lax.sort(jnp.stack([condition, condition]))[0]


def hessian_product(
    function: Callable[[list[Tensor]], Tensor],
    values: list[Tensor],
    direction: list[Tensor],
) -> list[Tensor]:
    _, product = jax.jvp(jax.grad(function), (values,), (direction,))
    return product


def keep_compiled(folder: str) -> None:
    config: Any = jax.config
    if config.jax_compilation_cache_dir is not None:
        return
    jax.config.update("jax_compilation_cache_dir", folder)
    # Small programs are many.
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    # Otherwise not looked at where something has been compiled before.
    compilation_cache.reset_cache()


def compile_function(
    function: Callable[..., Any], run_eagerly: bool, jit_compile: bool | str
) -> Callable[..., Any]:
    del jit_compile
    return function if run_eagerly else jax.jit(function)
