"""torch: autograd on detached leaves, one retained graph for all tasks."""

import contextlib
import contextvars
import functools

import torch
import torch.nn.attention
from keras import ops
from keras import tree
from torch._subclasses.fake_tensor import FakeTensor

from keras_mtl.backend import torch_layout
from keras_mtl.backend.torch_precision import full_precision

supports_jit_compile = False

#: From this number of tasks on, task gradients are stacked by variable: one
#: matrix product then is faster than one inner product per pair.
STACK_FROM = 4

#: Whether inner products need the stacks.
STACKS_ROWS = True

#: Whether labels of several tasks are looked at as one stack.
STACKS_LABELS = True

#: The largest block, in bytes, whose size glibc remembers: 32 MiB, less what
#: it keeps beside the block.
LARGEST_BLOCK = 2**25 - 2**13


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
    losses, aux, pullback, _ = _recorded(function, values)
    return [loss.detach() for loss in losses], aux, pullback


def linearize_both_ways(function, values):
    """Like `linearize`, with slopes along directions too.

    Returns:
        `(losses, aux, pullback, pushforward)`. `pushforward(tangents)` takes
        a dict `{index of a value: tensor}` and returns a tensor of the slopes
        of all losses along that direction.
    """
    with _twice_differentiable():
        losses, aux, pullback, leaves = _recorded(function, values)
    connected = [k for k, loss in enumerate(losses) if loss.requires_grad]
    # Gradients are linear in their seeds, by which they are differentiated.
    seeds = torch.ones(
        len(losses), dtype=losses[0].dtype, device=losses[0].device
    ).requires_grad_(True)
    pulled = [None] * len(leaves)
    if connected and leaves:
        with torch.enable_grad():
            pulled = torch.autograd.grad(
                [losses[k] for k in connected],
                leaves,
                grad_outputs=[seeds[k] for k in connected],
                create_graph=True,
                allow_unused=True,
            )

    def pushforward(tangents):
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


def _twice_differentiable():
    """A context whose attention can be differentiated twice."""
    # Not those of torch's fused kernels.
    return torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH)


def _recorded(function, values):
    """Runs `function`; returns losses, aux, pullback and the leaves."""
    leaves = [value.detach().requires_grad_(True) for value in values]
    with torch.enable_grad():
        losses, aux = function(leaves)

    def pullback(cotangents, wanted, last=False):
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


def check_stranger(variable) -> None:
    """Raises `ValueError` for a variable that a step cannot keep: none."""


def after(value, other):
    """Returns `value`, which is not there before `other` is."""
    return value


def end_of_pass(gradients):
    """Returns what is not there before a pass is through, or `None`."""
    return None


def differentiable(function):
    """Calls a function in which gradients can be taken, say by inputs.

    Args:
        function: Returns a structure of tensors. Where gradients are off,
            these are cut off from the graph that was made of them.
    """
    if torch.is_grad_enabled():
        return function()
    with torch.enable_grad():
        results = function()
    return tree.map_structure(
        lambda value: value.detach() if torch.is_tensor(value) else value,
        results,
    )


def reached_variables(function, values):
    """Tells by which values each output of `function` has gradients.

    Args:
        function: Maps a list of tensors to a list of tensors.
        values: List of tensors.

    Returns:
        One set of indices into `values` per output.
    """
    leaves = [value.detach().requires_grad_(True) for value in values]
    with torch.enable_grad():
        outputs = function(leaves)
    return reached_by(outputs, leaves)


def reached_by(outputs, leaves):
    reached = []
    for output in outputs:
        gradients = [None] * len(leaves)
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


class RandomReplay:
    """Lets several forward passes draw the same numbers.

    Unseeded `keras.layers.Dropout` uses torch's global generator, not its
    `SeedGenerator`: without this the perturbed pass would see another mask.
    Calling the object gives a context manager in which the generators start
    as they were when the object was made, and which leaves them as it found
    them.
    """

    def __init__(self):
        self._start = _generator_states()
        self._end = self._start

    @contextlib.contextmanager
    def __call__(self):
        with torch.random.fork_rng(enabled=True):
            _set_generator_states(self._start)
            yield

    def has_drawn(self) -> bool:
        """Whether numbers were drawn since the object was made."""
        return not _are_equal(self._start, _generator_states())

    def note_end(self) -> None:
        """Remembers how far the first pass has drawn."""
        self._end = _generator_states()

    def rewind(self) -> None:
        """Sets the generators to where they were when the object was made."""
        _set_generator_states(self._start)

    def is_at_end(self) -> bool:
        """Whether a repeated pass has drawn as much as the first one."""
        return _are_equal(self._end, _generator_states())


def _generator_states():
    """States of the global generators: of the CPU, then of the GPUs."""
    states = [torch.random.get_rng_state()]
    if torch.cuda.is_available() and torch.cuda.is_initialized():
        states.extend(torch.cuda.get_rng_state_all())
    return states


def _set_generator_states(states):
    torch.random.set_rng_state(states[0])
    if len(states) > 1:
        torch.cuda.set_rng_state_all(states[1:])


def _are_equal(states, others):
    return len(states) == len(others) and all(
        torch.equal(a, b) for a, b in zip(states, others, strict=True)
    )


def global_random_state():
    """State of torch's global generator on the CPU, as a NumPy array."""
    return torch.random.get_rng_state().numpy()


def set_global_random_state(state) -> None:
    """Sets the state of torch's global generator on the CPU."""
    torch.random.set_rng_state(torch.tensor(state, dtype=torch.uint8))


def build_scope(model):
    """The scope in which variables of `model` are created."""
    return contextlib.nullcontext()


def check_devices() -> None:
    """Processes of torch.distributed are fine: gradients are averaged."""


#: Whether this process is to compute as if there were no others.
_IS_ALONE = contextvars.ContextVar("is_alone", default=False)


@contextlib.contextmanager
def alone():
    token = _IS_ALONE.set(True)
    try:
        yield
    finally:
        _IS_ALONE.reset(token)


def num_replicas() -> int:
    """How many replicas, here processes, compute a step together."""
    if _IS_ALONE.get():
        return 1
    distributed = torch.distributed
    if distributed.is_available() and distributed.is_initialized():
        return distributed.get_world_size()
    return 1


def sum_over_replicas(tensors):
    """Returns the sums over the replicas of tensors that each has."""
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


def undivided_loss(value):
    """Returns a Keras loss as it is without other replicas."""
    return value


def divided_loss(value):
    """Returns a loss as Keras expects it: replicas add up to a mean."""
    return value


def synchronize(variables) -> None:
    """Sets variables to what the first of several processes has."""
    if num_replicas() == 1:
        return
    with torch.no_grad():
        for variable in variables:
            value = variable.value.detach().clone()
            torch.distributed.broadcast(value, src=0)
            variable.assign(value)


def to_host(tensors):
    """Returns concrete tensors as NumPy arrays, or `None` while tracing."""
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


def while_loop(cond, body, loop_vars, maximum_iterations=None):
    """`keras.ops.while_loop`, without a host read where torch compiles."""
    if not torch.compiler.is_compiling():
        return ops.while_loop(
            cond, body, loop_vars, maximum_iterations=maximum_iterations
        )
    limit = 2**31 - 1 if maximum_iterations is None else maximum_iterations
    count = torch.zeros((), dtype=torch.int32, device=loop_vars[0].device)

    def proceed(count, *state):
        return torch.logical_and(cond(*state), count < limit)

    def advance(count, *state):
        # The operator takes no output that is one of its inputs.
        return (count + 1, *(value.clone() for value in body(*state)))

    return torch.while_loop(proceed, advance, (count, *loop_vars))[1:]


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
    # Each reading waits for the device.
    proceeds = proceed is None or bool(proceed)
    keeps = proceeds if keep is proceed else keep is None or bool(keep)
    with torch.no_grad():
        if proceeds:
            optimizer.apply(gradients, variables)
        if keeps:
            assign(assignments)
    return proceed is not None and proceeds


def assign(assignments) -> None:
    """Assigns values to variables, given as pairs."""
    for variable, value in assignments:
        variable.assign(value)


@functools.cache
def _keep_freed_memory():
    """Lets what one pass frees serve the next one, on CPUs, from here on.

    glibc gives the end of the heap back to the system when more of it is free
    than twice the largest block that a program has freed, and each pass gets
    its memory anew, page by page: a fifth of the time on a LeNet. So one large
    block is freed, which is never touched: once, and before the first pass,
    because a later one lies at the end of the heap and makes glibc give that
    back. See `M_MMAP_THRESHOLD` in mallopt(3).
    """
    torch.empty(LARGEST_BLOCK, dtype=torch.uint8, device="cpu")


class TrainStepFrame:
    """Runs the step where Keras's trainer expects `train_step`."""

    def train_step(self, data):
        if self.strategy is None:
            return super().train_step(data)
        _keep_freed_memory()
        with torch.no_grad(), full_precision():
            return self._run_step(data)

    def before_look(self):
        """The variables have their values."""
        _keep_freed_memory()

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
    leaves = [value.detach().requires_grad_(True) for value in values]
    product = [None] * len(leaves)
    with torch.enable_grad(), _twice_differentiable():
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


def compile_function(function, run_eagerly, jit_compile):
    """Returns a function of tensors as the trainer would run it: eagerly.

    Args:
        function: Pure function of nested lists of tensors.
        run_eagerly: The model's setting.
        jit_compile: The model's setting.
    """
    del run_eagerly, jit_compile
    return function
