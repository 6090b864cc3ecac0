"""Compiling, fitting and stepping a model by a strategy."""

import inspect
import warnings
from contextlib import AbstractContextManager
from typing import Any

import keras

from keras_mtl import backend
from keras_mtl import strategies
from keras_mtl.arguments import checked_choice
from keras_mtl.datasets import MultiTaskDataset
from keras_mtl.models.by_output import check_order
from keras_mtl.models.compile_arguments import CompileArguments
from keras_mtl.models.first_look import build_on
from keras_mtl.models.first_look import looking
from keras_mtl.models.labelled_metrics import labelled_metrics
from keras_mtl.models.own_hooks import check_hooks
from keras_mtl.models.random_state import RandomState
from keras_mtl.models.resolve_losses import as_tasks
from keras_mtl.models.resolve_losses import resolve_losses
from keras_mtl.models.strategy_in_use import StrategyInUse
from keras_mtl.models.task_losses import make_task_losses
from keras_mtl.models.task_model import TaskModel
from keras_mtl.models.training_plan import Prepared
from keras_mtl.strategies.nonfinite import check_on_nonfinite
from keras_mtl.training.batch import Batch
from keras_mtl.training.epoch_guard import guarded
from keras_mtl.training.epoch_guard import watches_tasks
from keras_mtl.training.plain_step import PlainStep
from keras_mtl.training.step import run_step
from keras_mtl.training.task_statistics import TaskStatistics
from keras_mtl.training.weight_averages import check_averages
from keras_mtl.typing import Tensor

CHECKS = ("first", "never")


class TaskTrainer(backend.TrainStepFrame, TaskModel):
    """A model of tasks that compiles, fits and steps by a strategy.

    Args:
        *args: As for `TaskModel`.
        **kwargs: As for `TaskModel`.
    """

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self.strategy_in_use = StrategyInUse(self)

    @property
    def strategy(self) -> strategies.Strategy | None:
        """The strategy in use, or `None` for plain Keras training."""
        # Keras reads properties before `__init__` is through.
        in_use = self.__dict__.get("strategy_in_use")
        return None if in_use is None else in_use.strategy

    @property
    def random_state(self) -> RandomState:
        """What `.keras` and weight files keep of random numbers."""
        return self._settings.random_state

    @property
    def training_plan(self) -> Any:
        """What the training step needs to know."""
        return self.strategy_in_use.plan

    @property
    def task_statistics(self) -> TaskStatistics | None:
        """What steps have seen of the tasks, while somebody watches."""
        return self.strategy_in_use.statistics

    @property
    def compiled_arguments(self) -> CompileArguments:
        """What `compile` was given that is kept as it was."""
        return self._settings.compiled

    @property
    def on_nonfinite(self) -> str:
        """What `compile` was told that a step does that is not finite."""
        return self._settings.compiled.on_nonfinite

    @property
    def checks_first_batch(self) -> bool:
        """Whether `compile` was told to look at a batch before a step."""
        return self._settings.compiled.check == "first"

    def watch_tasks(self, watch: bool) -> None:
        """Has the training step add to `task_statistics`, or no longer.

        `fit` does it for callbacks such as `keras_mtl.callbacks.TaskMonitor`.

        Args:
            watch: Whether to watch from here on.
        """
        if self.strategy_in_use.watch(watch):
            self.train_function = None

    def network_alone(self) -> AbstractContextManager[None]:
        return self.strategy_in_use.hidden()

    # ---------------------------------------------------------- tracking

    @property
    def variables(self) -> list[keras.Variable]:
        in_use = self.__dict__.get("strategy_in_use")
        extra = [] if in_use is None else in_use.variables
        return [*super().variables, *extra]

    # ----------------------------------------------------------- compile

    def compile(
        self,
        optimizer: Any = "rmsprop",
        loss: Any = None,
        loss_weights: Any = None,
        metrics: Any = None,
        weighted_metrics: Any = None,
        run_eagerly: bool = False,
        steps_per_execution: int = 1,
        jit_compile: Any = "auto",
        auto_scale_loss: bool = True,
        *,
        strategy: Any = None,
        on_nonfinite: str = "raise",
        check: str = "first",
    ) -> None:
        """Configures the model for training.

        Args:
            optimizer: As for `keras.Model.compile`.
            loss: Dict from task names to losses; a list in the order of the
                outputs, or one loss for all. An output whose loss is `None`
                is no task. As for Keras, a loss is a name, a function or a
                `keras.losses.Loss` of the output that the task is named by;
                or a `keras_mtl.losses.Task`, of any outputs or none, labels
                or none, and inputs.
            loss_weights: Optional dict or list of factors of the task losses:
                numbers, or scalar `keras.Variable`s, which callbacks may
                assign to (on JAX between epochs). They multiply the losses
                before the strategy sees them.
            metrics: As for `keras.Model.compile`.
            weighted_metrics: As for `keras.Model.compile`.
            run_eagerly: As for `keras.Model.compile`.
            steps_per_execution: As for `keras.Model.compile`; not available on
                torch.
            jit_compile: As for `keras.Model.compile`; on torch, `True` is
                turned off with a warning.
            auto_scale_loss: As for `keras.Model.compile`.
            strategy: A name from `keras_mtl.strategies.names()`, a
                `keras_mtl.Strategy`, or an aggregator, balancer or flatness
                regularizer. Defaults to `None`: plain Keras training.
            on_nonfinite: What a step of a strategy does when a loss or
                gradient is not finite. `"raise"` leaves the model as it was
                and raises `keras_mtl.NonFiniteError` at the end of the epoch,
                `"skip"` leaves it, goes on and logs a warning by then,
                `"ignore"` does not look. Defaults to `"raise"`.
            check: `"first"` compares, before the first step of a strategy, the
                losses and gradients of one batch with those that
                `keras.Model` would compute, and finds out by gradients which
                variables each task reaches; `fit` raises `ValueError` where
                layers bypass what a step can see. It takes a few passes, once
                after `compile`, and after a new strategy and frozen or
                unfrozen layers. `"never"` leaves it out: the structure of
                the model tells what tasks reach. Defaults to `"first"`.

        Raises:
            ValueError: If a loss or strategy is unknown, a name is not that
                of an output, or the model overrides a method of Keras that
                the strategy does not call.
        """
        # All that can fail comes before anything is changed.
        check_on_nonfinite(on_nonfinite)
        checked_choice("check", check, CHECKS)
        tasks = as_tasks(loss)
        losses, weights = resolve_losses(
            tasks, loss_weights, self.task_structure.output_names
        )
        self.check_losses(losses)
        given, strategy = strategy, self.strategy_in_use.own(strategy)
        if strategy is not None:
            if not losses:
                raise ValueError(
                    "A strategy needs a loss per task: pass `loss={task: ...}`."
                )
            check_hooks(self)
        labelled = self._labelled_metrics(
            metrics=metrics, weighted_metrics=weighted_metrics
        )
        self._check_orders(
            loss=loss,
            loss_weights=loss_weights,
            metrics=metrics,
            weighted_metrics=weighted_metrics,
        )
        prepared = self.strategy_in_use.prepare(strategy, losses, weights)
        if jit_compile is True and not backend.supports_jit_compile:
            warnings.warn(
                "`jit_compile=True` is turned off: on the torch backend "
                "keras_mtl runs eagerly, because torch.compile cannot "
                "differentiate one graph several times.",
                stacklevel=2,
            )
            jit_compile = False
        super().compile(
            optimizer=optimizer,
            **labelled,
            run_eagerly=run_eagerly,
            steps_per_execution=steps_per_execution,
            jit_compile=jit_compile,
            auto_scale_loss=auto_scale_loss,
        )
        if loss is not None:
            # As Keras has it: not tracked.
            self.__dict__["loss"] = loss
        settings = self._settings
        settings.compiled = CompileArguments(
            tasks, loss_weights, metrics, weighted_metrics, on_nonfinite, check
        )
        settings.has_metrics |= (
            metrics is not None or weighted_metrics is not None
        )
        with backend.build_scope(self):
            settings.losses = make_task_losses(
                losses,
                weights,
                self.task_structure.parts,
                strategy is not None,
            )
        self.strategy_in_use.recompiled()
        self._use_strategy(strategy, prepared, given)

    def _labelled_metrics(self, **arguments: Any) -> dict[str, Any]:
        with backend.build_scope(self):
            return {
                name: labelled_metrics(name, metrics, self._settings)
                for name, metrics in arguments.items()
            }

    def _check_orders(self, **arguments: Any) -> None:
        """Warns of lists that keras.Model takes in another order."""
        parts = self.task_structure.parts
        if parts is not None and parts.named:
            for argument, value in arguments.items():
                check_order(argument, value, parts.names)

    def _use_strategy(
        self,
        strategy: strategies.Strategy | None,
        prepared: Prepared | None,
        given: Any,
    ) -> None:
        losses = self._settings.losses
        if losses is not None:
            losses.handle_missing = strategy is not None
            losses.apply_weights = (
                strategy is None or strategy.loss_weights == "factors"
            )
        self.strategy_in_use.use(strategy, prepared, given)
        # The lists of variables have changed with it.
        self.train_function = None
        self.test_function = None
        self.predict_function = None
        if self.built and self.compiled:
            self.strategy_in_use.settle()

    # --------------------------------------------------------------- fit

    def fit(
        self,
        x: Any = None,
        y: Any = None,
        *args: Any,
        strategy: Any = None,
        balancer_data: Any = None,
        **kwargs: Any,
    ) -> keras.callbacks.History:
        """Trains the model, like `keras.Model.fit`.

        Args:
            x: As for `keras.Model.fit`. The epochs of a
                `keras_mtl.datasets.MultiTaskDataset` follow those of `fit`,
                so that `initial_epoch` and `BackupAndRestore` go on with the
                right batches.
            y: Labels: a dict by task name, or a list in the order of
                the outputs.
            *args: As for `keras.Model.fit`.
            strategy: Replaces the compiled strategy from here on. The weights
                and the optimizer's state are kept; the new strategy starts
                with fresh state. A name or config that describes the strategy
                in use keeps it and its state, and so does the object that it
                was made for. Defaults to `None`: the strategy in use.
            balancer_data: Tuple `(x, y)` or `(x, y, sample_weight)` of arrays
                that the strategy's balancer learns from
                (`keras_mtl.balancers.AutoLambda`). Defaults to `None`: none,
                or those of the last `fit`.
            **kwargs: As for `keras.Model.fit`.

        Returns:
            A `keras.callbacks.History`: losses and metrics by epoch.

        Raises:
            ValueError: If the strategy is unknown, the labels do not fit,
                `balancer_data` is given to a strategy that takes none, or the
                optimizer keeps averages of weights (`use_ema`) and layers
                were frozen or unfrozen after `compile`.
            keras_mtl.NonFiniteError: If a loss or gradient was not finite and
                the policy is `"raise"`.
        """
        if self.task_losses is not None:
            self._check_given(y, kwargs.get("sample_weight"))
        if self.compiled:
            check_averages(self.optimizer, self.network_variables(True))
        if strategy is not None:
            self._replace_strategy(strategy)
        if balancer_data is not None:
            self._set_balancer_data(balancer_data)
        self.watch_tasks(watches_tasks(kwargs.get("callbacks")))
        dataset = x if isinstance(x, MultiTaskDataset) else None
        arguments = (
            inspect.signature(keras.Model.fit)
            .bind(self, x, y, *args, **kwargs)
            .arguments
        )
        del arguments["self"]
        if dataset is not None:
            # It has an order of its own, which repeats.
            arguments["shuffle"] = False
        callbacks = arguments.pop("callbacks", None)
        with guarded(callbacks, self, dataset) as around:
            return super().fit(**arguments, callbacks=around)

    def _set_balancer_data(self, arrays: Any) -> None:
        if self.strategy is None:
            raise ValueError(
                "`balancer_data` needs a strategy whose balancer learns from "
                "it: pass `strategy=keras_mtl.balancers.AutoLambda()`."
            )
        if isinstance(arrays, (tuple, list)) and len(arrays) > 1:
            self._check_given(arrays[1])
        with backend.build_scope(self):
            self.strategy.balancer.set_data(arrays)
        # The lists of variables have changed with it.
        self.train_function = None

    def _replace_strategy(self, identifier: Any) -> None:
        if not self.compiled:
            raise ValueError("Call `compile()` before `fit(strategy=...)`.")
        strategy = self.strategy_in_use.replacement(identifier)
        if strategy is None:
            return
        prepared = self.strategy_in_use.prepare(
            strategy, self.task_losses.losses, self.task_losses.weights
        )
        self._use_strategy(strategy, prepared, identifier)

    def train_on_batch(self, *args: Any, **kwargs: Any) -> Any:
        self.forget_failures()
        logs = super().train_on_batch(*args, **kwargs)
        self.check_finite()
        return logs

    def forget_failures(self) -> None:
        """Forgets failed steps that nobody was told of: an end by force."""
        self.strategy_in_use.forget_failures()

    def check_finite(self) -> None:
        """Tells of steps that failed, by an error or in the log."""
        self.strategy_in_use.check_finite()

    # -------------------------------------------------------------- step

    def make_train_function(self, force: bool = False) -> Any:
        if self.strategy is None:
            return super().make_train_function(force)
        check_hooks(self)
        self.strategy_in_use.settle()
        before = self.train_function
        super().make_train_function(force)
        if self.train_function is not before:
            self.train_function = looking(self, self.train_function)
        return self.train_function

    def plain_gradients(
        self, data: Any
    ) -> tuple[list[keras.Variable], list[Tensor]]:
        """Trainable variables, and gradients that `keras.Model` would take."""
        plan = self.training_plan
        plain = PlainStep(self, plan.partition.variables, plan.bypass)
        batch = Batch(*keras.utils.unpack_x_y_sample_weight(data))
        return plain.variables, plain.at_weights(batch).gradients

    def run_task_step(self, data: Any) -> dict[str, Any]:
        if self.training_plan is None:
            # A `train_step` that was called by hand.
            x, _, _ = keras.utils.unpack_x_y_sample_weight(data)
            build_on(self, x)
            self.strategy_in_use.settle()
        return run_step(self, data)
