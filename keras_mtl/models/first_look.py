"""A look at a batch before the first step of a plan."""

from typing import Any

import keras

from keras_mtl import backend
from keras_mtl.models.own_hooks import check_hooks
from keras_mtl.models.settings import spec_of
from keras_mtl.training.batch import Batch
from keras_mtl.training.plain_step import PlainStep
from keras_mtl.training.step_check import check_step


class FirstLook:
    """The part of `MultiTaskModel` that settles a plan on a batch.

    It comes before the frame of the backend's trainer, and needs `strategy`,
    `task_structure` and `strategy_in_use` of the class that it is part of.
    """

    _settings: Any
    strategy_in_use: Any
    task_structure: Any

    def make_train_function(self, force=False):
        if self.strategy is None:
            return super().make_train_function(force)
        check_hooks(self)
        self.strategy_in_use.settle()
        before = self.train_function
        super().make_train_function(force)
        if self.train_function is not before:
            self.train_function = self._looking(self.train_function)
        return self.train_function

    def _looking(self, function):
        """A train function that looks at a batch before a plan's first step.

        It takes what the trainer of the backend gives it: an iterator, and
        perhaps the state before it.
        """

        def run(*arguments):
            in_use = self.strategy_in_use
            if in_use.is_looked_at or (
                in_use.plan is not None and not self._looks
            ):
                return function(*arguments)
            *state, iterator = arguments
            data, stream = backend.peek(iterator, self.steps_per_execution)
            self.before_look(*state)
            before = in_use.plan
            self._look_at(data)
            state = self.after_look()
            if in_use.plan is before:
                return function(*state, stream)
            self.make_train_function(force=True)
            return self.train_function(*state, stream)

        return run

    @property
    def _looks(self):
        return self._settings.compiled.check == "first"

    def _look_at(self, data):
        """Settles by a batch what a plan must know, and checks it."""
        in_use = self.strategy_in_use
        batch = Batch(
            *keras.utils.unpack_x_y_sample_weight(
                backend.local_tensors(self, data)
            )
        )
        self._build_on(batch.x)
        in_use.settle()
        if not self._looks:
            return
        if self.task_structure.correct_reach(batch):
            in_use.settle(anew=True)
        if check_step(self, batch):
            in_use.note_look()

    def _build_on(self, x):
        if not self.built:
            with backend.build_scope(self), keras.StatelessScope():
                self(x)
        if self.task_structure.input_spec is None:
            self.task_structure.input_spec = spec_of(x)

    def plain_gradients(self, data):
        """Trainable variables, and gradients that `keras.Model` would take."""
        plan = self.training_plan
        plain = PlainStep(self, plan.partition.variables, plan.bypass)
        batch = Batch(*keras.utils.unpack_x_y_sample_weight(data))
        return plain.variables, plain.at_weights(batch).gradients
