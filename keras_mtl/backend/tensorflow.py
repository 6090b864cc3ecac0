"""TensorFlow: a persistent tape, and a guarded commit."""

import contextlib

import tensorflow as tf
from keras import ops
from keras import tree

supports_jit_compile = True
while_loop = ops.while_loop

#: From this number of tasks on, task gradients are stacked by variable: one
#: matrix product then serves all inner products. That of two vectors takes
#: half as long as that of the stack of both.
STACK_FROM = 2

#: Whether inner products need the stacks.
STACKS_ROWS = True

#: Whether labels of several tasks are looked at as one stack.
STACKS_LABELS = True


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
    with tf.GradientTape(
        persistent=True, watch_accessed_variables=False
    ) as tape:
        tape.watch(values)
        losses, aux = function(values)

    def pullback(cotangents, wanted, last=False):
        gradients = tape.gradient(
            [losses[k] for k in cotangents],
            [values[i] for i in wanted],
            output_gradients=[
                tf.cast(cotangent, losses[k].dtype)
                for k, cotangent in cotangents.items()
            ],
            unconnected_gradients=tf.UnconnectedGradients.ZERO,
        )
        # Embeddings give IndexedSlices.
        return [tf.convert_to_tensor(gradient) for gradient in gradients]

    return losses, aux, pullback


def linearize_both_ways(function, values):
    """Like `linearize`, with slopes along directions too.

    Returns:
        `(losses, aux, pullback, pushforward)`. `pushforward(tangents)` takes
        a dict `{index of a value: tensor}` and returns a tensor of the slopes
        of all losses along that direction.
    """
    # Gradients are linear in their seeds, by which they are differentiated.
    with tf.GradientTape(
        persistent=True, watch_accessed_variables=False
    ) as tape:
        losses, aux, pullback = linearize(function, values)
        seeds = tf.ones((len(losses),), losses[0].dtype)
        tape.watch(seeds)
        pulled = pullback(
            dict(enumerate(tf.unstack(seeds))), range(len(values))
        )

    def pushforward(tangents):
        return tf.convert_to_tensor(
            tape.gradient(
                [pulled[i] for i in tangents],
                seeds,
                output_gradients=list(tangents.values()),
                unconnected_gradients=tf.UnconnectedGradients.ZERO,
            )
        )

    return losses, aux, pullback, pushforward


def check_stranger(variable) -> None:
    """Raises `ValueError` for a variable that a step cannot keep: none."""


def after(value, other):
    """Returns `value`, which is not there before `other` is."""
    with tf.control_dependencies([other]):
        return tf.identity(value)


def end_of_pass(gradients):
    """Returns what is not there before a pass is through, or `None`."""
    return None


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
    with tf.GradientTape(
        persistent=True, watch_accessed_variables=False
    ) as tape:
        tape.watch(values)
        outputs = function(values)
    return reached_by(tape, outputs, values)


def reached_by(tape, outputs, values):
    return [
        {
            i
            for i, gradient in enumerate(tape.gradient(output, values))
            if gradient is not None
        }
        for output in outputs
    ]


class RandomReplay:
    """Nothing to repeat: Keras's randomness is explicit state on TensorFlow."""

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
    return model.distribute_strategy.scope()


def check_devices() -> None:
    """Refuses distribution strategies that no test has trained with."""
    strategy = tf.distribute.get_strategy()
    if strategy.num_replicas_in_sync > 1 and not isinstance(
        strategy,
        (
            tf.distribute.MirroredStrategy,
            tf.distribute.MultiWorkerMirroredStrategy,
        ),
    ):
        raise ValueError(
            "On TensorFlow several replicas need a "
            "`tf.distribute.MirroredStrategy` or, for several processes, a "
            "`tf.distribute.MultiWorkerMirroredStrategy`. Use one of them, or "
            f"`strategy=None`. Received: {type(strategy).__name__} with "
            f"{strategy.num_replicas_in_sync} replicas."
        )


def num_replicas() -> int:
    """How many replicas compute a step together."""
    return tf.distribute.get_strategy().num_replicas_in_sync


def sum_over_replicas(tensors):
    """Returns the sums over the replicas of tensors that each has."""
    if num_replicas() == 1 or not tensors:
        return tensors
    context = tf.distribute.get_replica_context()
    return context.all_reduce(tf.distribute.ReduceOp.SUM, tensors)


def undivided_loss(value):
    """Returns a Keras loss as it is without other replicas."""
    # Keras divides it, so that replicas add up to a mean.
    return value * num_replicas()


def divided_loss(value):
    """Returns a loss as Keras expects it: replicas add up to a mean."""
    return value / num_replicas()


def synchronize(variables) -> None:
    """Sets variables to what the first of several processes has."""
    # Mirrored variables are created equal.


def to_host(tensors):
    """Returns concrete tensors as NumPy arrays, or `None` while tracing."""
    if not tf.executing_eagerly():
        return None
    return [
        None if tensor is None else tf.convert_to_tensor(tensor).numpy()
        for tensor in tensors
    ]


def gather_rows(rows, num_rows):
    """Collects rows of tensors as they come, one row or one stack at a time.

    Args:
        rows: Iterable of lists of tensors, the same shapes in each.
        num_rows: How many there are.

    Returns:
        `(rows, stacks)`, of which one is `None`: a list of the rows, or one
        tensor `[num_rows, *shape]` per place in a row.
    """
    # Rows of a stack are slices without a copy, and the rows that came are
    # freed.
    return None, [tf.stack(tensors) for tensors in zip(*rows, strict=True)]


def lerp(start, end, weight, reuse=False):
    """`start + weight * (end - start)`, which is `start` where weight is 0.

    Args:
        start: Tensor.
        end: Tensor of its shape.
        weight: Tensor that broadcasts to it.
        reuse: Whether the memory of `end` may serve the result.
    """
    return start + weight * (end - start)


def inner_products(vectors):
    """Returns the Gramian `[K, K]` of a list of K vectors of one length."""
    matrix = ops.stack(vectors)
    return matrix @ ops.transpose(matrix)


def small_product(left, right):
    """Returns the matrix product of small tensors, vectors or matrices."""
    return ops.matmul(left, right)


def row_products(left, right):
    """Returns the inner product of each row of `[K, P]` with the other's."""
    # A quarter of the time of a batched product, though most entries are not
    # needed, and no copy of all products.
    return tf.linalg.diag_part(tf.matmul(left, right, transpose_b=True))


def squared_norm(tensors):
    """Returns the sum of the squares of all entries of some tensors."""
    # One pass over the memory instead of two.
    return 2 * tf.add_n([tf.nn.l2_loss(tensor) for tensor in tensors])


def weighted_sum(weights, tensors):
    """Returns the sum of tensors of one shape, each times a scalar."""
    total = weights[0] * tensors[0]
    for weight, tensor in zip(weights[1:], tensors[1:], strict=True):
        total = total + weight * tensor
    return total


def subtract(left, right):
    """Returns `left - right`; `left` must not be used any more."""
    return left - right


def all_finite(tensors):
    """Bool scalar: no NaN or infinity in any of the tensors."""
    return ops.all(
        ops.stack([ops.all(ops.isfinite(tensor)) for tensor in tensors])
    )


def computed_once(condition):
    """Returns a boolean scalar, which is computed in one place anyway."""
    return condition


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
    if tf.distribute.has_strategy():
        _commit_on_replicas(
            optimizer, gradients, variables, assignments, proceed, keep
        )
        return False

    def update():
        optimizer.apply(gradients, variables)

    _only_if(proceed, update)
    _only_if(keep, lambda: assign(assignments))
    return False


def _commit_on_replicas(
    optimizer, gradients, variables, assignments, proceed, keep
):
    """Like `commit`, without branches: replicas cannot meet in those."""
    touched = [*variables, *optimizer.variables]
    before = [tf.identity(variable.value) for variable in touched]
    # It adds up what the replicas give it, which is the same for all.
    count = num_replicas()
    optimizer.apply([gradient / count for gradient in gradients], variables)
    if proceed is not None:
        assign(
            [
                (variable, tf.where(proceed, variable.value, old))
                for variable, old in zip(touched, before, strict=True)
            ]
        )
    if keep is not None:
        assignments = [
            (variable, tf.where(keep, value, variable.value))
            for variable, value in assignments
        ]
    assign(assignments)


def assign(assignments) -> None:
    """Assigns values to variables, given as pairs.

    Values are the same on all replicas.
    """
    if not tf.distribute.has_strategy():
        for variable, value in assignments:
            variable.assign(value)
        return
    pairs = [
        (variable.value, tf.cast(value, variable.dtype))
        for variable, value in assignments
    ]
    # A variable that is not said how to merge cannot be assigned by one.
    variables = [variable for variable, _ in pairs]

    def update(strategy, values):
        for variable, value in zip(variables, values, strict=True):
            strategy.extended.update(
                variable, lambda v, x: v.assign(x), args=(value,), group=False
            )

    context = tf.distribute.get_replica_context()
    context.merge_call(update, args=([value for _, value in pairs],))


def _only_if(condition, action):
    if condition is None:
        action()
        return

    def act():
        action()
        return tf.constant(True)

    tf.cond(condition, act, lambda: tf.constant(False))


class _ReducesForKeras:
    """A `MultiWorkerMirroredStrategy` that reduces what Keras gives it.

    Args:
        strategy: The `tf.distribute.MultiWorkerMirroredStrategy`.
    """

    def __init__(self, strategy):
        self._strategy = strategy

    @property  # type: ignore[misc]
    def __class__(self):
        # Keras gathers predictions of such strategies in their own way.
        return type(self._strategy)

    def __getattr__(self, name):
        return getattr(self._strategy, name)

    def reduce(self, reduce_op, value, axis):
        """Like `tf.distribute.Strategy.reduce`, with two of its errors less.

        Of a whole batch, Keras wants to know shapes and dtypes, to build the
        model by; it averages scalars, such as losses, along their axis 0.
        """
        if isinstance(value, (tuple, list, dict)):
            return tree.map_structure(self._spec, value)
        if self._spec(value).shape.rank == 0:
            axis = None
        return self._strategy.reduce(reduce_op, value, axis=axis)

    def _spec(self, value):
        if value is None:
            return None
        first = self._strategy.experimental_local_results(value)[0]
        return tf.TensorSpec(first.shape, first.dtype)


class TrainStepFrame:
    """Runs the step where Keras's trainer expects `train_step`."""

    @property
    def distribute_strategy(self):
        strategy = super().distribute_strategy
        if isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy):
            return _ReducesForKeras(strategy)
        return strategy

    def train_step(self, data):
        if self.strategy is None:
            return super().train_step(data)
        return self._run_step(data)

    def before_look(self):
        """The variables have their values."""

    def after_look(self):
        """Returns what the trainer passes to a step besides data: nothing."""
        return []


def hessian_product(function, values, direction):
    """Returns the Hessian of a scalar function times a vector.

    Args:
        function: Maps a list of tensors to a scalar.
        values: List of tensors: where the Hessian is taken.
        direction: List of tensors of their shapes and dtypes: the vector.
    """
    settings = {"unconnected_gradients": tf.UnconnectedGradients.ZERO}
    with tf.GradientTape(watch_accessed_variables=False) as outer:
        outer.watch(values)
        with tf.GradientTape(watch_accessed_variables=False) as inner:
            inner.watch(values)
            output = function(values)
        gradients = inner.gradient(output, values, **settings)
        gradients = [tf.convert_to_tensor(gradient) for gradient in gradients]
    product = outer.gradient(
        gradients, values, output_gradients=direction, **settings
    )
    # Embeddings give IndexedSlices.
    return [tf.convert_to_tensor(part) for part in product]


def compile_function(function, run_eagerly, jit_compile):
    """Returns a function of tensors as the trainer would compile it.

    Args:
        function: Pure function of nested lists of tensors.
        run_eagerly: The model's setting.
        jit_compile: The model's setting.
    """
    if run_eagerly:
        return function
    return tf.function(function, jit_compile=bool(jit_compile), autograph=False)
