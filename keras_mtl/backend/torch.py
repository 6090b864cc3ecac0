"""torch: autograd on detached leaves, one retained graph for all tasks."""

import contextlib

import torch
from keras import ops
from torch._subclasses.fake_tensor import FakeTensor

supports_jit_compile = False


def linearize(function, values):
    """Runs `function` once and returns how to pull gradients back.

    Args:
        function: Maps a list of tensors to `(losses, aux)` with a list of
            scalar losses.
        values: List of tensors to differentiate by.

    Returns:
        `(losses, aux, pullback)`. `pullback(cotangents, wanted)` takes a dict
        `{index of a loss: scalar}` and a list of indices into `values` and
        returns the gradients of the so weighted sum of losses.
    """
    leaves = [value.detach().requires_grad_(True) for value in values]
    with torch.enable_grad():
        losses, aux = function(leaves)

    def pullback(cotangents, wanted):
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
            retain_graph=True,
            allow_unused=True,
        )
        return [
            torch.zeros_like(values[i]) if gradient is None else gradient
            for i, gradient in zip(wanted, gradients, strict=True)
        ]

    return [loss.detach() for loss in losses], aux, pullback


def reached_variables(function, values):
    """Tells on which values each output of `function` depends.

    Args:
        function: Maps a list of tensors to a list of tensors.
        values: List of tensors.

    Returns:
        One set of indices into `values` per output.
    """
    leaves = [value.detach().requires_grad_(True) for value in values]
    with torch.enable_grad():
        outputs = function(leaves)
    reached = []
    for output in outputs:
        gradients = [None] * len(leaves)
        if output.requires_grad:
            gradients = torch.autograd.grad(
                output.sum(), leaves, retain_graph=True, allow_unused=True
            )
        reached.append(
            {i for i, gradient in enumerate(gradients) if gradient is not None}
        )
    return reached


@contextlib.contextmanager
def replay_random():
    """Lets several forward passes draw the same numbers.

    Unseeded `keras.layers.Dropout` uses torch's global generator, not its
    `SeedGenerator`: without this the perturbed pass would see another mask.

    Yields:
        A context manager for each further pass; it starts from the state at
        entry and leaves the generators as it found them.
    """
    start = torch.random.get_rng_state()
    on_cuda = torch.cuda.is_available() and torch.cuda.is_initialized()
    starts = torch.cuda.get_rng_state_all() if on_cuda else None

    @contextlib.contextmanager
    def replay():
        with torch.random.fork_rng(enabled=True):
            torch.random.set_rng_state(start)
            if starts is not None:
                torch.cuda.set_rng_state_all(starts)
            yield

    yield replay


def build_scope(model):
    """The scope in which variables of `model` are created."""
    return contextlib.nullcontext()


def check_devices() -> None:
    """Refuses torch.distributed with more than one process."""
    distributed = torch.distributed
    if (
        distributed.is_available()
        and distributed.is_initialized()
        and distributed.get_world_size() > 1
    ):
        raise ValueError(
            "Training with a multi-task strategy in several processes of "
            "torch.distributed is not supported yet: the replicas would "
            "drift apart in silence. Use one process or `strategy=None`. "
            f"Received: {distributed.get_world_size()} processes."
        )


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
    """
    with torch.no_grad():
        if proceed is None or bool(proceed):
            optimizer.apply(gradients, variables)
        if keep is None or bool(keep):
            for variable, value in assignments:
                variable.assign(value)


class TrainStepFrame:
    """Runs the step where Keras's trainer expects `train_step`."""

    def train_step(self, data):
        if self.strategy is None:
            return super().train_step(data)
        with torch.no_grad():
            return self._run_step(data)
