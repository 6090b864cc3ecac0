"""A strategy: balancer, flatness regularizer and aggregator in a row."""

from collections.abc import Callable
from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from keras_mtl import aggregators
from keras_mtl import balancers
from keras_mtl import flatness as flatness_family
from keras_mtl.aggregators import Aggregator
from keras_mtl.aggregators.grouped import Grouped
from keras_mtl.arguments import checked_choice
from keras_mtl.arguments import checked_integer
from keras_mtl.arguments import checked_preference
from keras_mtl.balancers import Balancer
from keras_mtl.component import Component
from keras_mtl.export import keras_mtl_export
from keras_mtl.flatness import Flatness
from keras_mtl.gradients.kind import UpdateKind
from keras_mtl.gradients.passes import ForwardPass
from keras_mtl.gradients.passes import Update
from keras_mtl.gradients.record import Recorder
from keras_mtl.strategies.accumulation import Accumulation
from keras_mtl.strategies.chosen_variables import ChosenVariables
from keras_mtl.strategies.compatibility import check_parts
from keras_mtl.strategies.nonfinite import check_on_nonfinite
from keras_mtl.strategies.sharing import Sharing
from keras_mtl.strategies.updates.choose import choose_kind
from keras_mtl.strategies.variable_groups import checked_granularity
from keras_mtl.strategies.variable_groups import group_variables
from keras_mtl.typing import Shape
from keras_mtl.typing import Tensor
from keras_mtl.typing import Variable

GRADIENTS = ("parameters", "representation")
LOSS_WEIGHTS = ("factors", "preference")
MEMORY = ("normal", "low")


@keras_mtl_export("keras_mtl.strategies.Strategy")
class Strategy(Component):
    """How K task losses become one update of the weights.

    Every training step runs the same pipeline:

    1. The `balancer` turns the task losses into one weight per task.
    2. One gradient per task, times its weight, is taken at the weights.
    3. The `flatness` regularizer, if any, has them taken again nearby.
    4. The `aggregator` merges the gradients of shared variables into one
       update. Variables that only one task uses get that task's gradient.

    Args:
        balancer: A `keras_mtl.balancers.Balancer`, its name or config.
            Defaults to `None`, which means equal weights.
        flatness: A `keras_mtl.flatness.Flatness`, its name or config, or
            `None` for none. Defaults to `None`.
        aggregator: A `keras_mtl.aggregators.Aggregator`, its name or config.
            Defaults to `None`, which means the sum.
        on_nonfinite: What a step does when a loss or gradient is not finite:
            `"raise"` leaves the model untouched and raises at the end of the
            epoch, `"skip"` leaves it untouched and goes on, `"ignore"`
            applies the step as it is. Defaults to `None`, which means what
            `compile` was told.
        gradients: What task gradients are taken by: `"parameters"`, the
            shared weights, or `"representation"`, the outputs of the trunk.
            The latter costs one backward pass through the trunk for any
            number of tasks (with MGDA it is MGDA-UB), is an approximation,
            and needs a model with a trunk. Defaults to `"parameters"`.
        granularity: Which shared variables are merged together: all of the
            `"model"`, those of each `"layer"`, or those for which a function
            of the variable returns the same. Defaults to `"model"`.
        loss_weights: What the `loss_weights` of `compile` are: `"factors"` of
            the losses, as in Keras, or the `"preference"` of an aggregator
            that has one, which says how much a task counts; the losses stay
            as they are. Defaults to `"factors"`.
        memory: `"normal"` keeps one gradient of the shared weights per task,
            `"low"` two in all: the Gramian is taken row by row, at about
            twice the cost, and one more backward pass takes the weighted sum.
            For aggregators that look at the Gramian only. Defaults to
            `"normal"`.
        accumulate: Number of batches whose task gradients are averaged before
            they are merged: one update, that of one batch of their joint
            size. The `gradient_accumulation_steps` of an optimizer average
            what was merged batch by batch. Defaults to 1.
        weights_from: For aggregators that look at the Gramian only: which
            shared variables it is taken of. The K backward passes stop there;
            one more takes the weighted sum through everything. An
            approximation, unless they are all. `"last_shared"`, the last
            layer with a kernel that all tasks share; a list of layers or
            names; a function of a variable; `"representation"`, the outputs
            of the trunk. Defaults to `None`, all of them.
        update_every: For the same aggregators: takes the Gramian in every so
            many steps only. The others have the last weights, at the price
            of one backward pass. Defaults to 1.
        **kwargs (Any): Passed on to `keras.layers.Layer`, such as `name`.

    Raises:
        ValueError: If a component is unknown or an argument out of range.

    Example:

    ```python
    strategy = keras_mtl.Strategy(
        balancer="log",
        flatness=keras_mtl.flatness.TaskSAM(rho=0.05),
        aggregator=keras_mtl.aggregators.CAGrad(c=0.4),
    )
    model.fit(x, y, strategy=strategy)
    ```
    """

    def __init__(
        self,
        balancer: Balancer | str | dict | None = None,
        flatness: Flatness | str | dict | None = None,
        aggregator: Aggregator | str | dict | None = None,
        on_nonfinite: str | None = None,
        gradients: str = "parameters",
        granularity: str | Callable[[keras.Variable], Any] = "model",
        loss_weights: str = "factors",
        memory: str = "normal",
        accumulate: int = 1,
        weights_from: Any = None,
        update_every: int = 1,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        check_on_nonfinite(on_nonfinite, optional=True)
        self.gradients = checked_choice("gradients", gradients, GRADIENTS)
        self.granularity = checked_granularity(granularity)
        self.loss_weights = checked_choice(
            "loss_weights", loss_weights, LOSS_WEIGHTS
        )
        self.memory = checked_choice("memory", memory, MEMORY)
        self.accumulate = checked_integer("accumulate", accumulate)
        self.chosen = ChosenVariables(weights_from)
        self.update_every = checked_integer("update_every", update_every)
        #: The last weights of the rows, where steps take them again.
        self.last_row_weights: Any = None
        self.on_nonfinite = on_nonfinite
        self.balancer = balancers.get(balancer) or balancers.Equal()
        self.flatness = flatness_family.get(flatness)
        self.aggregator = aggregators.get(aggregator) or aggregators.Sum()
        #: Notes what steps see of the tasks, for those who watch it.
        self.recorder = Recorder()
        self.observes = self.balancer.observes or self.aggregator.observes
        #: Which tasks reach which shared variables.
        self.sharing = Sharing(0, [])
        check_parts(self)
        #: Sums over batches, or `None` for an update on every batch.
        self.accumulation: Accumulation | None = None
        if self.accumulate > 1:
            self.accumulation = Accumulation(self.accumulate)
        #: What merges rows: the aggregator, or what applies it to groups.
        self.merger = self.aggregator
        if self.granularity != "model" and not self.aggregator.linear:
            self.merger = Grouped(self.aggregator)
        # State and seeds of the parts must not mix.
        combine = self._combines()
        self.flat_aggregator = self.outer_aggregator = None
        if combine in ("decomposed", "second"):
            self.flat_aggregator = self.merger.sibling(1)
        if combine == "second":
            self.outer_aggregator = self.merger.sibling(2)
        self.pair_aggregators: list[Aggregator] = []
        self.flat_parts: list[keras.Variable] = []
        self.own_flat_parts: list[keras.Variable] = []
        #: How a step gets from losses to an update.
        self.kind = self.make_kind()

    def make_kind(self) -> UpdateKind:
        """Returns how a step gets from losses to an update.

        Called once. A subclass may return a kind of its own.
        """
        return choose_kind(self)

    @property
    def makes_one_pass(self) -> bool:
        """Whether each step makes one pass only."""
        return self.flatness is None or not self.flatness.makes_passes

    def _combines(self) -> str | None:
        """How clean gradients and flat parts are merged apart, or `None`."""
        if self.flatness is None or self.makes_one_pass:
            return None
        return None if self.aggregator.linear else self.flatness.combine

    def set_preference(self, loss_weights: Sequence[Any]) -> None:
        """Hands the `loss_weights` of `compile` to the aggregator.

        Called before `build` where `loss_weights="preference"`.

        Args:
            loss_weights: One number or `None` (1) per task.
        """
        numbers = [1.0 if w is None else w for w in loss_weights]
        preference = checked_preference("loss_weights", numbers) or ()
        self.merger.set_preference(preference)
        if self.flat_aggregator is not None:
            self.flat_aggregator.set_preference(preference)

    def groups_of(
        self, variables: Sequence[keras.Variable]
    ) -> list[list[int]] | None:
        """Returns indices of the shared variables that are merged together.

        Args:
            variables: The shared variables.

        Returns:
            Lists of indices in the order of their first variables, or `None`
            for all together.
        """
        return group_variables(self.granularity, variables)

    @property
    def depends_on_own_variables(self) -> bool:
        """Whether there is state for the tasks' own variables."""
        return self.accumulation is not None or (
            self.flatness is not None and self.flatness.keeps_own
        )

    def build(
        self,
        num_tasks: int,
        shapes: list[tuple[int, ...]],
        dtype: str = "float32",
        own_shapes: Sequence[Sequence[tuple[int, ...]]] = (),
        groups: list[list[int]] | None = None,
    ) -> None:
        """Creates the state.

        Args:
            num_tasks: Number of tasks K.
            shapes: Shapes of the shared variables.
            dtype: Dtype of the state.
            own_shapes: For each task, shapes of its own variables. Defaults to
                none.
            groups: Indices of shared variables to merge together, as
                `groups_of` returns them. Defaults to `None`, all.
        """
        if num_tasks < self.aggregator.min_tasks:
            raise ValueError(
                f"The aggregator {type(self.aggregator).__name__} needs at "
                f"least {self.aggregator.min_tasks} tasks. The model has "
                f"{num_tasks}."
            )
        everyone = [range(num_tasks)] * len(shapes)
        self.sharing.settle(num_tasks, everyone, groups)
        every_own = [shape for task in own_shapes for shape in task]
        rows = [(num_tasks, *shape) for shape in shapes]
        pairs = [(2, *shape) for shape in shapes]
        if self._combines() == "each":
            self.pair_aggregators.extend(
                self.merger.sibling(3 + k) for k in range(num_tasks)
            )
        self.balancer.build(num_tasks, dtype)
        if groups is not None:
            self._set_groups(groups)
        self.merger.build(rows, dtype)
        if self.flatness is not None:
            self.flatness.build(dtype, [*shapes, *every_own])
            if self.flatness.reuse:
                self.flat_parts.extend(self._zeros("flat_part", shapes, dtype))
                self.own_flat_parts.extend(
                    self._zeros("own_flat_part", every_own, dtype)
                )
        if self.flat_aggregator is not None:
            self.flat_aggregator.build(rows, dtype)
        if self.outer_aggregator is not None:
            self.outer_aggregator.build(pairs, dtype)
        for aggregator in self.pair_aggregators:
            aggregator.build(pairs, dtype)
        if self.accumulation is not None:
            self.accumulation.build(num_tasks, shapes, own_shapes, dtype)
        if self.update_every > 1 and shapes:
            self.last_row_weights = self.add_state(
                "last_row_weights", (num_tasks,), dtype, value=1
            )
        self.iterations = self.add_state("iterations", dtype="int32")
        self.built = True

    def _set_groups(self, groups: Any) -> None:
        for part in self.components:
            if isinstance(part, Grouped):
                part.set_groups(groups)

    def _zeros(
        self, name: str, shapes: Sequence[Shape], dtype: str
    ) -> list[Variable]:
        return [
            self.add_state(f"{name}_{index}", shape, dtype)
            for index, shape in enumerate(shapes)
        ]

    def compute_update(self, clean: ForwardPass) -> Update:
        """Runs the pipeline on a forward pass.

        Args:
            clean: The pass at the current weights.

        Returns:
            The update. State is assigned as the components do; the training
            step keeps or drops it.
        """
        if self.balancer.uses_passes:
            self.balancer.learn(clean)
        # Of several batches, `Rows` asks for no more than a `Source` has.
        source: Any = clean
        if self.accumulation is not None:
            source = self.accumulation.add(clean)
        weights = self.balancer(source.losses, source.mask)
        self.recorder.begin(weights)
        update = self.kind(source, weights)
        self.iterations.assign(ops.add(self.iterations, 1))
        update.weights, update.source = weights, source
        update.record = self.recorder.end()
        return update

    @property
    def inner_components(self) -> list[Component]:
        parts = [self.balancer, self.flatness, self.aggregator]
        return [part for part in parts if part is not None]

    @property
    def components(self) -> list[Component]:
        """All parts, those that are made for one use of a part too."""
        parts = [
            self.balancer,
            self.flatness,
            self.merger,
            self.flat_aggregator,
            self.outer_aggregator,
            *self.pair_aggregators,
            self.accumulation,
        ]
        return [part for part in parts if part is not None]

    def observe(
        self, losses: Tensor, new_losses: Tensor, mask: Tensor | None = None
    ) -> None:
        """Shows the parts the losses before and after an update.

        Args:
            losses: Tensor `[K]` of task losses before the update.
            new_losses: Tensor `[K]` of task losses after it, of the same
                batch and with the same random numbers.
            mask: Optional tensor `[K]`, 1 for present tasks, 0 for absent.
        """
        observers = [self.balancer, self.merger, self.flat_aggregator]
        for part in observers:
            if part is not None and part.observes:
                part.observe(losses, new_losses, mask)

    def state_reset(self) -> None:
        super().state_reset()
        for part in self.components:
            if part.built:
                part.state_reset()

    def expect_state(self, is_in_file: bool) -> None:
        super().expect_state(is_in_file)
        for part in self.components:
            part.expect_state(is_in_file)

    def load_own_variables(self, store: Any) -> None:
        # A file of weights that were trained without a strategy says nothing
        # of its state; a model that is loaded without being compiled has no
        # place for it. The number of updates is in all others.
        self.expect_state(self.built and len(store.keys()) > 0)
        super().load_own_variables(store)

    def end_epoch(self) -> None:
        """Tells the parts that an epoch is over."""
        for part in self.components:
            part.end_epoch()

    def notices(self) -> list[str]:
        return [notice for part in self.components for notice in part.notices()]

    def get_config(self) -> dict[str, Any]:
        serialize = keras.saving.serialize_keras_object
        return {
            **super().get_config(),
            "balancer": serialize(self.balancer),
            "flatness": self.flatness and serialize(self.flatness),
            "aggregator": serialize(self.aggregator),
            "on_nonfinite": self.on_nonfinite,
            "gradients": self.gradients,
            "granularity": self.granularity,
            "loss_weights": self.loss_weights,
            "memory": self.memory,
            "accumulate": self.accumulate,
            "weights_from": self.chosen.config,
            "update_every": self.update_every,
        }
