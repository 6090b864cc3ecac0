"""The values of a model's variables, and computing with others."""

import copy
from typing import Any

import keras
from keras import ops

from keras_mtl import backend

#: Between the seeds of passes that see other random numbers.
SEED_DISTANCE = 1_299_709


class Values:
    """The values of a model's variables at the start of a step.

    Args:
        model: A `MultiTaskModel`.
        partition: Its `Partition`.
        state_variables: Its non-trainable variables, without those of the
            strategy.
    """

    def __init__(self, model, partition, state_variables):
        self.partition = partition
        self.state_variables = state_variables
        self.trainable = [
            ops.convert_to_tensor(variable.value)
            for variable in partition.variables
        ]
        self.state = [
            ops.convert_to_tensor(variable.value)
            for variable in state_variables
        ]

    @property
    def num_shared(self) -> int:
        """How many shared variables there are."""
        return len(self.partition.shared)

    def in_order(self, task=None) -> list[int]:
        """Indices of the shared variables, then of own ones.

        Args:
            task: Index of the only task to look at, or `None` for all.
        """
        own = self.partition.own
        if task is not None:
            own = [own[task]]
        return [*self.partition.shared, *(i for part in own for i in part)]

    def values_of(self, task=None) -> list[Any]:
        """The values, in that order."""
        return [self.trainable[i] for i in self.in_order(task)]

    def perturbs(self, flatness, task=None) -> list[bool]:
        """Which of them a flatness regularizer moves."""
        return [
            flatness.perturbs(self.partition.variables[i])
            for i in self.in_order(task)
        ]

    def keep_state(self) -> None:
        """Copies the state, so that it outlives assignments to it."""
        # TensorFlow and torch hand out the variable's own memory.
        self.state = [ops.copy(value) for value in self.state]

    def with_other_seeds(self, draw: int) -> "Values":
        """The same values, but other random numbers in every pass.

        Args:
            draw: Number of the random numbers, from 1 on.
        """
        other = copy.copy(self)
        other.state = [
            # On torch the two numbers of a state are added up: far from
            # those of the steps to come.
            value + SEED_DISTANCE * draw if is_seed(variable) else value
            for variable, value in zip(
                self.state_variables, self.state, strict=True
            )
        ]
        return other

    def scope(self, trainable, state=None) -> "PassScope":
        """A scope in which the model computes with the given values.

        Every variable is mapped: one left out would be read from where the
        trainer keeps nothing during an epoch, or be assigned for good.

        Args:
            trainable: Values of the trainable variables.
            state: Those of the others. Defaults to `None`: what they were at
                the start of the step.
        """
        state = self.state if state is None else state
        mapping = [
            *zip(self.partition.variables, trainable, strict=True),
            *zip(self.state_variables, state, strict=True),
        ]
        return PassScope(self.partition.variables, mapping, collect_losses=True)

    def state_after(self, scope) -> list[Any]:
        """The state that the computation in a scope left."""
        return [
            scope.get_current_value(variable)
            for variable in self.state_variables
        ]


def losses_at(model, batch, values, trainable):
    """The task losses `[K]` of a batch at other trainable values.

    With the random numbers and the state of the start of the step; nothing is
    differentiated and nothing is changed.
    """
    with values.scope([ops.stop_gradient(value) for value in trainable]):
        outputs = model(batch.x, training=True)
        task_losses = model.compute_task_losses(
            batch.x, batch.y, outputs, batch.sample_weight, training=True
        )
    return ops.stack(model.task_losses.weigh(task_losses))


def is_seed(variable: keras.Variable) -> bool:
    """Whether a variable is the state of a seed generator."""
    return variable.name == "seed_generator_state"


class PassScope(keras.StatelessScope):
    """A stateless scope that watches what layers assign to.

    It counts the draws from each seed generator, and refuses assignments to
    trainable weights: they are where the pass is made, and perhaps perturbed.

    Args:
        trainable: The trainable variables.
        *args: Passed on to `keras.StatelessScope`.
        **kwargs: Passed on to `keras.StatelessScope`.
    """

    def __init__(self, trainable, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self._trainable = {id(variable) for variable in trainable}
        self.draws: dict[int, int] = {}
        self._precision: Any = None

    def __enter__(self):
        self._precision = backend.forward_precision()
        self._precision.__enter__()
        return super().__enter__()

    def __exit__(self, *args, **kwargs):
        super().__exit__(*args, **kwargs)
        self._precision.__exit__(None, None, None)

    def add_update(self, update):
        variable, _ = update
        if id(variable) in self._trainable:
            raise ValueError(
                "A layer assigns to its trainable weight "
                f"{variable.path!r} in the forward pass, as "
                "keras.layers.SpectralNormalization does. Steps of a strategy "
                "cannot keep that. Constrain the weight by a "
                "`kernel_constraint`, which acts after each update, freeze the "
                "layer, or train with `strategy=None`."
            )
        if is_seed(variable):
            draws = self.draws.get(id(variable), 0)
            self.draws[id(variable)] = draws + 1
        super().add_update(update)
