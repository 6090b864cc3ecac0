"""The values of a model's variables, and computing with others."""

import copy
from typing import Any
from typing import TypeAlias

import keras
from keras import ops

from keras_mtl import backend
from keras_mtl.gradients.partition import Partition
from keras_mtl.training.batch import Batch
from keras_mtl.typing import Tensor
from keras_mtl.typing import Variable

#: Values of the state of a model, of its bypass and of strangers.
State: TypeAlias = tuple[list[Tensor], list[Tensor], list[Tensor]]

#: Between the seeds of passes that see other random numbers.
SEED_DISTANCE = 1_299_709


class Values:
    """The values of a model's variables at the start of a step.

    Args:
        partition: The `Partition` of the model's trainable variables.
        state_variables: Its non-trainable variables, without those of the
            strategy.
        bypass: The model's `backend.Bypass`.
    """

    def __init__(
        self,
        partition: Partition,
        state_variables: list[Variable],
        bypass: backend.Bypass,
    ):
        self.partition = partition
        self.state_variables = state_variables
        self.bypass = bypass
        #: By identity, variables that are none of the model's and that a pass
        #: has assigned to, with their values at the start of the step.
        self.strangers: dict[int, tuple[keras.Variable, Tensor]] = {}
        self.trainable = [
            ops.convert_to_tensor(variable.value)
            for variable in partition.variables
        ]
        self.state = [
            ops.convert_to_tensor(variable.value)
            for variable in state_variables
        ]
        self.bypassing = [
            ops.convert_to_tensor(buffer.value) for buffer in bypass.state
        ]

    @property
    def dtype(self) -> Any:
        """The dtype of the first trainable variable."""
        return self.trainable[0].dtype if self.trainable else "float32"

    @property
    def num_shared(self) -> int:
        """How many shared variables there are."""
        return len(self.partition.shared)

    def in_order(self, task: int | None = None) -> list[int]:
        """Indices of the shared variables, then of own ones.

        Args:
            task: Index of the only task to look at, or `None` for all.
        """
        own = self.partition.own
        if task is not None:
            own = [own[task]]
        return [*self.partition.shared, *(i for part in own for i in part)]

    def values_of(self, task: int | None = None) -> list[Tensor]:
        """The values, in that order."""
        return [self.trainable[i] for i in self.in_order(task)]

    def variables_of(self, task: int | None = None) -> list[Variable]:
        """The variables, in that order."""
        return [self.partition.variables[i] for i in self.in_order(task)]

    def keep_state(self) -> None:
        """Copies the state, so that it outlives assignments to it."""
        # TensorFlow and torch hand out the variable's own memory.
        self.state = [ops.copy(value) for value in self.state]
        self.bypassing = [ops.copy(value) for value in self.bypassing]

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
        other.strangers = {
            key: (
                variable,
                start + SEED_DISTANCE * draw if is_seed(variable) else start,
            )
            for key, (variable, start) in self.strangers.items()
        }
        return other

    def scope(
        self, trainable: list[Tensor], state: State | None = None
    ) -> "PassScope":
        """A scope in which the model computes with the given values.

        Every variable is mapped: one left out would be read from where the
        trainer keeps nothing during an epoch, or be assigned for good.

        Args:
            trainable: Values of the trainable variables.
            state: What `state_after` another scope returned. Defaults to
                `None`: the state at the start of the step.
        """
        if state is None:
            strangers = [start for _, start in self.strangers.values()]
            state = (self.state, self.bypassing, strangers)
        return PassScope(self, trainable, *state)

    def state_after(self, scope: "PassScope") -> State:
        """The state that the computation in a scope left.

        Returns:
            Values of the `state_variables`, of the `bypass.state` and of the
            `strangers`.
        """
        return (
            [scope.get_current_value(v) for v in self.state_variables],
            scope.bypassing,
            [scope.get_current_value(v) for v, _ in self.strangers.values()],
        )

    def assignments(self, state: State) -> list[tuple[Variable, Tensor]]:
        """Pairs of a variable and its new value, from `state_after`."""
        own, bypassing, strangers = state
        return [
            *zip(self.state_variables, own, strict=True),
            *zip(self.bypass.state, bypassing, strict=True),
            # Later passes may have found more.
            *(
                (variable, value)
                for (variable, _), value in zip(
                    self.strangers.values(), strangers, strict=False
                )
            ),
        ]


def losses_at(
    model: Any, batch: Batch, values: Values, trainable: list[Tensor]
) -> Tensor:
    """The task losses `[K]` of a batch at other trainable values.

    With the random numbers and the state of the start of the step; nothing is
    differentiated and nothing is changed.
    """

    def function() -> dict[str, Tensor]:
        outputs = model(batch.x, training=True)
        return model.compute_task_losses(
            batch.x, batch.y, outputs, batch.sample_weight, training=True
        )

    with values.scope([ops.stop_gradient(value) for value in trainable]):
        task_losses = backend.differentiable(function)
    return ops.stack(model.task_losses.weigh(task_losses))


def is_seed(variable: keras.Variable) -> bool:
    """Whether a variable is the state of a seed generator."""
    return variable.name == "seed_generator_state"


class PassScope(keras.StatelessScope):
    """A stateless scope in which the model computes at explicit values.

    It counts the draws from each seed generator, and refuses assignments to
    trainable weights: they are where the pass is made, and perhaps perturbed.

    A layer may also assign to variables that are none of the model's, as to
    the state of Keras's global seed generator or to that of a metric. They are
    noted in `values.strangers`: the step keeps what they became.

    Args:
        values: The `Values`.
        trainable: Values of the trainable variables.
        state: Values of `values.state_variables`.
        bypassing: Values of `values.bypass.state`. After the scope the
            attribute has what they became.
        strangers: Values of `values.strangers`, or of the first of them.
    """

    def __init__(
        self,
        values: Values,
        trainable: list[Tensor],
        state: list[Tensor],
        bypassing: list[Tensor],
        strangers: list[Tensor],
    ):
        variables = values.partition.variables
        mapping = [
            *zip(variables, trainable, strict=True),
            *zip(values.state_variables, state, strict=True),
            *(
                (variable, value)
                for (variable, _), value in zip(
                    values.strangers.values(), strangers, strict=False
                )
            ),
        ]
        super().__init__(mapping, collect_losses=True)
        self.bypassing = bypassing
        self.draws: dict[int, int] = {}
        self._trainable = {id(variable) for variable in variables}
        self._known = set(self.state_mapping)
        self._strangers = values.strangers
        self._bypass = values.bypass.scope(trainable, bypassing)
        self._precision = backend.forward_precision()

    def __enter__(self) -> "PassScope":
        self._precision.__enter__()
        self._bypass.__enter__()
        return super().__enter__()

    def __exit__(self, *args: Any) -> None:
        super().__exit__(*args)
        self._bypass.__exit__(*args)
        self._precision.__exit__(*args)
        self.bypassing = self._bypass.after

    def get_current_value(self, variable: Variable) -> Tensor | None:
        # The frame of JAX's step has the variables of metrics, too.
        scope, value = self, super().get_current_value(variable)
        while value is None and scope.original_scope is not None:
            scope = scope.original_scope
            value = keras.StatelessScope.get_current_value(scope, variable)
        return value

    def add_update(self, update: tuple[Variable, Tensor]) -> None:
        variable, value = update
        if id(variable) in self._trainable:
            raise ValueError(
                "A layer assigns to its trainable weight "
                f"{variable.path!r} in the forward pass, as "
                "keras.layers.SpectralNormalization does. Steps of a strategy "
                "cannot keep that. Constrain the weight by a "
                "`kernel_constraint`, which acts after each update, freeze the "
                "layer, or train with `strategy=None`."
            )
        if id(variable) not in self._known:
            self._note_stranger(variable)
        if is_seed(variable):
            draws = self.draws.get(id(variable), 0)
            self.draws[id(variable)] = draws + 1
        super().add_update((variable, backend.as_assigned(value)))

    def _note_stranger(self, variable: Variable) -> None:
        if self.original_scope and self.get_current_value(variable) is None:
            backend.check_stranger(variable)
        self._known.add(id(variable))
        if id(variable) not in self._strangers:
            start = ops.copy(ops.convert_to_tensor(variable.value))
            self._strangers[id(variable)] = (variable, start)
