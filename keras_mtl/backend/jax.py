"""JAX: a linearised forward pass, and the step inside a stateless frame."""

import contextlib
import functools
from typing import Any

import jax
import jax.numpy as jnp
import keras
import numpy as np
from keras import ops

supports_jit_compile = True
while_loop = ops.while_loop

#: From this number of tasks on, inner products of task gradients are taken
#: for all pairs at once.
STACK_FROM = 4

#: Whether inner products need the stacks.
STACKS_ROWS = False

#: Whether labels of several tasks are looked at as one stack.
STACKS_LABELS = False


def linearize(function, values):
    """Runs `function` once and returns how to pull gradients back.

    Args:
        function: Maps a list of tensors to `(losses, aux)` with a list of
            scalar losses.
        values: List of tensors to differentiate by.

    Returns:
        `(losses, aux, pullback)`. `pullback(cotangents, wanted, last)` takes
        a dict `{index of a loss: scalar}` and a list of indices into `values`
        and returns the gradients of the so weighted sum of losses. With
        `last`, it is not called again.
    """
    losses, aux, pullback, _ = linearize_both_ways(function, values)
    return losses, aux, pullback


def linearize_both_ways(function, values):
    """Like `linearize`, with slopes along directions too.

    Returns:
        `(losses, aux, pullback, pushforward)`. `pushforward(tangents)` takes
        a dict `{index of a value: tensor}` and returns a tensor of the slopes
        of all losses along that direction.
    """
    losses, linear, aux = jax.linearize(function, values, has_aux=True)

    has_custom_gradients = functools.cache(
        lambda: _has_custom_gradients(function, values)
    )

    def pushforward(tangents):
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

    def pullback(cotangents, wanted, last=False):
        # Transposing only the chosen losses lets XLA drop the other heads,
        # which a vjp with zero cotangents would run through.
        def chosen(tangents):
            outputs = linear(tangents)
            return [outputs[k] for k in cotangents]

        seeds = [
            ops.cast(cotangent, losses[k].dtype)
            for k, cotangent in cotangents.items()
        ]
        (gradients,) = jax.linear_transpose(chosen, values)(seeds)
        return [gradients[i] for i in wanted]

    return losses, aux, pullback, pushforward


def check_stranger(variable) -> None:
    """Raises `ValueError` for a variable that a step cannot keep.

    Args:
        variable: One that the frame of the step does not have.
    """
    raise ValueError(
        f"The forward pass assigns to the variable {variable.path!r}, which no "
        "layer of the model holds: on JAX a compiled step cannot keep it, with "
        "any strategy or none. Make it, or the `keras.random.SeedGenerator` or "
        "metric that has it, an attribute of a layer, set in its `__init__`."
    )


def _has_custom_gradients(function, values):
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


def _transposed_twice(linear, values, losses, tangents):
    """Slopes along a direction, from gradients, which are linear in seeds."""
    chosen = list(tangents)

    def pulled(seeds):
        (gradients,) = jax.linear_transpose(linear, values)(list(seeds))
        return [gradients[i] for i in chosen]

    seeds = [jnp.ones((), loss.dtype) for loss in losses]
    _, pullback = jax.vjp(pulled, seeds)
    (slopes,) = pullback([tangents[i] for i in chosen])
    return jnp.stack(slopes)


def after(value, other):
    """Returns a scalar, which is not there before a vector `other` is.

    XLA removes barriers on CPUs, and then computes all values first. It does
    not look into a sort: here one by constant keys, whatever the values are.
    """
    values = jnp.stack([value, ops.cast(other[0], value.dtype)])
    keys = jnp.arange(2, dtype="int32")
    return jax.lax.sort((keys, values), num_keys=1)[1][0]


def end_of_pass(gradients):
    """Returns what is not there before a pass is through, or `None`.

    For `after`. On CPUs, XLA begins what it can as soon as it can: K passes at
    once, with K copies of perturbed weights and of activations. On
    accelerators it saves memory by itself. With several devices, an entry of a
    tensor would have to be fetched from one of them.

    Args:
        gradients: List of tensors, what the pass ends with.
    """
    if jax.default_backend() != "cpu" or jax.device_count() > 1:
        return None
    # Which of them is the last is not known.
    entries = [
        gradient[(0,) * gradient.ndim]
        for gradient in gradients
        if gradient.size
    ]
    return jnp.sum(jnp.stack(entries), keepdims=True) if entries else None


def differentiable(function):
    """Calls a function in which gradients can be taken."""
    return function()


def reached_variables(function, values):
    """Tells by which values each output of `function` has gradients.

    Args:
        function: Maps a list of tensors to a list of tensors.
        values: List of tensors.

    Returns:
        One set of indices into `values` per output.
    """

    def gradients(values, seeds):
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


def _trace_dependencies(jaxpr, inputs):
    """Follows sets of input indices through a jaxpr to its outputs."""
    known: dict[Any, set[int]] = dict(zip(jaxpr.invars, inputs, strict=True))

    def read(atom):
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


def _called_jaxpr(equation):
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


class RandomReplay:
    """Nothing to repeat: Keras's randomness is explicit state on JAX."""

    def __call__(self):
        return contextlib.nullcontext()

    def has_drawn(self) -> bool:
        return False

    def note_end(self) -> None:
        pass

    def rewind(self) -> None:
        pass

    def is_at_end(self) -> bool:
        return True


def global_random_state():
    """There is no global generator that layers draw from."""
    return None


def set_global_random_state(state) -> None:
    """Files of another backend: their generator means nothing here."""


def build_scope(model):
    """The scope in which variables of `model` are created."""
    return contextlib.nullcontext()


def check_devices() -> None:
    """All set-ups of `keras.distribution` are fine: gradients are global."""


def num_replicas() -> int:
    """How many replicas compute a step together: losses are global here."""
    return 1


def sum_over_replicas(tensors):
    """Returns the sums over the replicas of tensors that each has."""
    return tensors


def undivided_loss(value):
    """Returns a Keras loss as it is without other replicas."""
    return value


def divided_loss(value):
    """Returns a loss as Keras expects it: replicas add up to a mean."""
    return value


def synchronize(variables) -> None:
    """Sets variables to what the first of several processes has."""


def to_host(tensors):
    """Returns concrete tensors as NumPy arrays, or `None` while tracing."""
    if any(isinstance(tensor, jax.core.Tracer) for tensor in tensors):
        return None
    return [
        None if tensor is None else np.asarray(tensor) for tensor in tensors
    ]


def commit(
    optimizer, gradients, variables, assignments, *, proceed=None, keep=None
):
    """Applies the optimizer and assigns new state, or leaves all as it was.

    Args:
        optimizer: A built optimizer.
        gradients: List of gradients of `variables`.
        variables: List of trainable variables.
        assignments: List of pairs of a variable and its new value.
        proceed: Optional boolean scalar: False leaves weights and optimizer.
        keep: Optional boolean scalar: False leaves the assigned variables.

    Returns:
        Whether it is known already that `proceed` was True.
    """
    slots = list(optimizer.variables)
    touched = [*variables, *slots]
    before = [variable.value for variable in touched]
    if isinstance(optimizer, keras.optimizers.LossScaleOptimizer):
        # Its `apply` assigns inside `ops.cond`, which cannot be traced; the
        # stateless form takes the full list of variables it was built with.
        after = optimizer.stateless_apply(
            before[len(variables) :], gradients, before[: len(variables)]
        )
        after = [*after[0], *after[1]]
    else:
        optimizer.apply(gradients, variables)
        after = [variable.value for variable in touched]
    for variable, old, new in zip(touched, before, after, strict=True):
        variable.assign(
            new if proceed is None else ops.where(proceed, new, old)
        )
    for variable, value in assignments:
        if keep is not None:
            value = ops.where(keep, value, variable.value)
        variable.assign(value)
    return False


def computed_once(condition):
    """Returns a boolean scalar that XLA computes in one place.

    It copies cheap operations into all that depends on them: here a look at
    each gradient into the assignment of each variable, which with many heads
    takes long to compile. It does not copy a sort, nor does it remove one, and
    on CPUs it has removed barriers by then.
    """
    return jax.lax.sort(jnp.stack([condition, condition]))[0]


def assign(assignments) -> None:
    """Assigns values to variables, given as pairs."""
    for variable, value in assignments:
        variable.assign(value)


class TrainStepFrame:
    """Runs a stateful step inside the stateless frame of Keras's trainer."""

    #: Whether the last step failed and gave the state back.
    _has_given_back = False

    def jax_state_sync(self):
        # What Keras remembers after a failed step is of a call before, after
        # which the model may have been compiled anew or got other weights.
        if not self._has_given_back:
            super().jax_state_sync()

    def make_train_function(self, force=False):
        before = self.train_function
        super().make_train_function(force)
        if self.train_function is not before:
            self.train_function = self._restoring(self.train_function)

    def make_test_function(self, force=False):
        before = self.test_function
        super().make_test_function(force)
        if self.test_function is not before:
            self.test_function = self._restoring(self.test_function)

    def make_predict_function(self, force=False):
        before = self.predict_function
        super().make_predict_function(force)
        if self.predict_function is not before:
            self.predict_function = self._restoring(self.predict_function)

    def _restoring(self, function):
        """A step function that gives the state back where it fails.

        The trainer empties the model's variables while it holds their values;
        after an error in the first step the model would be lost with them.
        """

        def run(state, iterator):
            done = False
            try:
                result = function(state, iterator)
                done = True
            finally:
                self._has_given_back = not done
                if not done:
                    self._put_back(state)
            return result

        return run

    def before_look(self, state):
        """Gives the variables the values that the trainer holds."""
        self._has_given_back = True
        self._put_back(state)

    def after_look(self):
        """Returns what the trainer is to hold, as it passes it to a step."""
        self._has_given_back = False
        return [
            tuple([v.value for v in group] for group in self._state_groups())
        ]

    def _put_back(self, state):
        # Evaluation has no optimizer, prediction no metrics either.
        groups = (
            self._state_groups()
            if len(state) == 4
            else (
                self.trainable_variables,
                self.non_trainable_variables,
                self.metrics_variables,
            )[: len(state)]
        )
        for variables, values in zip(groups, state, strict=True):
            for variable, value in zip(variables, values, strict=True):
                # A step that failed while it ran has used its inputs up.
                if not value.is_deleted():
                    variable.assign(value)

    def _state_groups(self):
        """The variables of the four lists that the trainer passes along."""
        return (
            self.trainable_variables,
            self.non_trainable_variables,
            self.optimizer.variables,
            self.metrics_variables,
        )

    def train_step(self, state, data):
        if self.strategy is None:
            return super().train_step(state, data)
        groups = self._state_groups()
        mapping = [
            pair
            for variables, values in zip(groups, state, strict=True)
            for pair in zip(variables, values, strict=True)
        ]
        with keras.StatelessScope(mapping) as scope:
            logs = self._run_step(data)
        state = tuple(
            [scope.get_current_value(variable) for variable in variables]
            for variables in groups
        )
        return logs, state


def hessian_product(function, values, direction):
    """Returns the Hessian of a scalar function times a vector.

    Args:
        function: Maps a list of tensors to a scalar.
        values: List of tensors: where the Hessian is taken.
        direction: List of tensors of their shapes and dtypes: the vector.
    """
    _, product = jax.jvp(jax.grad(function), (values,), (direction,))
    return product


def compile_function(function, run_eagerly, jit_compile):
    """Returns a function of tensors as the trainer would compile it.

    Args:
        function: Pure function of nested lists of tensors.
        run_eagerly: The model's setting.
        jit_compile: The model's setting.
    """
    del jit_compile
    return function if run_eagerly else jax.jit(function)
