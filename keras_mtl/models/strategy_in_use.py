"""The strategy that trains a model, with its plan and its state."""

import contextlib
import weakref
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
from typing import Any

import keras

from keras_mtl import backend
from keras_mtl import strategies
from keras_mtl.component import Component
from keras_mtl.models.own_hooks import check_hooks
from keras_mtl.models.resolve_losses import check_preference
from keras_mtl.models.same_settings import same_settings
from keras_mtl.models.task_loss import TaskLoss
from keras_mtl.models.training_plan import Prepared
from keras_mtl.models.training_plan import TrainingPlan
from keras_mtl.models.training_plan import fingerprint
from keras_mtl.models.training_plan import make_plan
from keras_mtl.models.training_plan import prepare
from keras_mtl.strategies import Strategy
from keras_mtl.training.monitor import StepMonitor
from keras_mtl.training.task_statistics import TaskStatistics


class StrategyInUse:
    """Which strategy a model trains with, and what was settled for it.

    An object of its own, no container: Keras, torch and TensorFlow track
    neither it nor what it holds. A strategy assigned to the model itself would
    become one of its layers, could not be replaced once the model is built,
    and would add its state to the model's weights.

    Args:
        model: The `MultiTaskModel`.
    """

    def __init__(self, model: Any):
        self._model = model
        self.strategy: Strategy | None = None
        #: The tasks and paths that the strategy's state belongs to.
        self.built_for: tuple[list[str], list[str]] | None = None
        self.plan: TrainingPlan | None = None
        self.statistics: TaskStatistics | None = None
        self.monitor: StepMonitor | None = None
        # Returns what the user has given, while it is there; the strategy may
        # be a copy of it.
        self._given: Callable[[], Any] = lambda: None
        # Identities of the variables that the optimizer was built with.
        self._optimized: set[int] | None = None
        # The plan that a batch was looked at with.
        self._looked: TrainingPlan | None = None
        self._is_hidden = False

    @property
    def variables(self) -> list[keras.Variable]:
        """State that rides along with the model's variables in training."""
        if self.strategy is None or self._is_hidden:
            return []
        monitor = [] if self.monitor is None else self.monitor.variables
        if self.statistics is not None:
            monitor = [*monitor, *self.statistics.variables]
        data = self.strategy.balancer.data_variables
        return [*self.strategy.variables, *data, *monitor]

    @contextlib.contextmanager
    def hidden(self) -> Iterator[None]:
        """Within it, the model has the variables of its network alone."""
        before, self._is_hidden = self._is_hidden, True
        try:
            yield
        finally:
            self._is_hidden = before

    # ------------------------------------------------------------ choice

    def own(self, identifier: Any) -> Strategy | None:
        """Returns a strategy of which no other model trains any part.

        Args:
            identifier: What `compile` or `fit` was given.
        """
        if self.is_given(identifier):
            return self.strategy
        strategy = strategies.get(identifier)
        if strategy is None or strategy is self.strategy:
            return strategy
        if not any(part.built for part in (strategy, *strategy.components)):
            return strategy
        return type(strategy).from_config(strategy.get_config())

    def is_given(self, identifier: Any) -> bool:
        """Whether the strategy in use is this object, or a copy of it."""
        return identifier is not None and identifier is self._given()

    def prepare(
        self,
        strategy: Strategy | None,
        losses: Mapping[str, TaskLoss],
        weights: Mapping[str, Any],
    ) -> Prepared | None:
        """Builds a strategy for a built model, or raises `ValueError`.

        Args:
            strategy: The strategy, or `None`.
            losses: `TaskLoss` by task.
            weights: Dict from tasks to their `loss_weights`.
        """
        model = self._model
        if strategy is not None and strategy.loss_weights == "preference":
            check_preference(weights)
        if (
            strategy is None
            or not model.built
            or not model.task_structure.can_probe
        ):
            return None
        is_new = strategy is not self.strategy
        return prepare(
            model,
            strategy,
            losses,
            list(weights.values()),
            None if is_new else self.built_for,
        )

    def use(
        self,
        strategy: Strategy | None,
        prepared: Prepared | None,
        given: Any,
    ) -> None:
        """Takes a strategy.

        Args:
            strategy: The strategy, or `None` for plain Keras training.
            prepared: What `prepare` made of it.
            given: What the user gave.
        """
        # Not a number that says which object it is: another may get it.
        self._given = (
            weakref.ref(given) if isinstance(given, Component) else lambda: None
        )
        if prepared is not None:
            self.strategy = prepared.strategy
            self.built_for = prepared.built_for
        elif strategy is not self.strategy:
            self.strategy = strategy
            self.built_for = None
        self.plan = None

    def replacement(self, identifier: Any) -> Strategy | None:
        """Returns the strategy that `fit(strategy=...)` asks for.

        Args:
            identifier: What it was given.

        Returns:
            `None` if that is the one in use.
        """
        if self.is_given(identifier):
            return None
        if not isinstance(identifier, Strategy) and same_settings(
            strategies.get(identifier), self.strategy
        ):
            return None
        if self._model.task_losses is None:
            raise ValueError(
                "A strategy needs a loss per task: pass `loss={task: ...}` to "
                "`compile`."
            )
        check_hooks(self._model)
        strategy = self.own(identifier)
        return None if strategy is self.strategy else strategy

    # -------------------------------------------------------------- plan

    def recompiled(self) -> None:
        """Forgets what belongs to an optimizer and to tasks."""
        self.monitor = None
        self._optimized = None

    def settle(self, anew: bool = False) -> None:
        """Makes the plan if there is none, or if it is out of date.

        Args:
            anew: Whether it is out of date whatever it was made for.
        """
        model = self._model
        if self.strategy is None or not model.built:
            return
        if (
            anew
            or self.plan is None
            or self.plan.fingerprint != fingerprint(model)
        ):
            if not model.task_structure.can_probe:
                return
            self.plan = make_plan(model, self)
            model.train_function = None

    @property
    def is_looked_at(self) -> bool:
        """Whether a batch was looked at with the plan."""
        return self._looked is not None and self._looked is self.plan

    def note_look(self) -> None:
        """Tells that a batch was looked at with the plan."""
        self._looked = self.plan

    def monitor_of(self, tasks: list[str]) -> StepMonitor:
        """Returns what notes non-finite steps of certain tasks."""
        if self.monitor is None or self.monitor.tasks != tasks:
            self.monitor = StepMonitor(tasks, name="step_monitor")
        return self.monitor

    def check_known(self, variables: list[keras.Variable]) -> None:
        """Refuses variables that the optimizer was not built with."""
        if self._optimized is None:
            self._optimized = {id(variable) for variable in variables}
            return
        unknown = [v.path for v in variables if id(v) not in self._optimized]
        if unknown:
            raise ValueError(
                "Layers were unfrozen after `compile`, and the optimizer does "
                f"not know their variables: {', '.join(unknown)}. Call "
                "`compile` again."
            )

    # ---------------------------------------------------------- watching

    def watch(self, watch: bool) -> bool:
        """Has steps add to `statistics`, or no longer.

        Args:
            watch: Whether to.

        Returns:
            Whether that changed the lists of variables.
        """
        strategy = self.strategy
        if strategy is None:
            return False
        num_tasks = len(self._model.tasks)
        known = self.statistics
        fits = known is not None and known.num_tasks == num_tasks
        if watch == fits and strategy.recorder.enabled == watch:
            return False
        self.statistics = None
        if watch:
            with backend.build_scope(self._model):
                self.statistics = TaskStatistics(num_tasks)
        strategy.recorder.enabled = watch
        return True

    def forget_failures(self) -> None:
        """Forgets failed steps that nobody was told of: an end by force."""
        if self.plan is not None:
            self.plan.monitor.forget()

    def check_finite(self) -> None:
        """Tells of steps that failed, by an error or in the log."""
        plan = self.plan
        if plan is None or self.strategy is None:
            return
        if plan.on_nonfinite == "raise":
            plan.monitor.raise_if_failed()
        elif plan.on_nonfinite == "skip":
            plan.monitor.warn_if_failed()
