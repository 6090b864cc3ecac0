"""A look at a batch before the first step of a plan."""

from typing import Any

import keras

from keras_mtl import backend
from keras_mtl.models.own_hooks import check_hooks
from keras_mtl.models.settings import spec_of
from keras_mtl.training.batch import Batch
from keras_mtl.training.step_check import check_step


class FirstLook:
    """The part of `MultiTaskModel` that settles a plan on a batch.

    It comes before the frame of the backend's trainer, and needs `strategy`,
    `correct_reach` and `_settle` of the class that it is part of.
    """

    _settings: Any

    def make_train_function(self, force=False):
        if self.strategy is None:
            return super().make_train_function(force)
        check_hooks(self)
        self._settle()
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
            settings = self._settings
            if settings.plan is not None and (
                settings.looked is settings.plan or settings.check == "never"
            ):
                return function(*arguments)
            *state, iterator = arguments
            data, stream = backend.peek(iterator, self.steps_per_execution)
            self.before_look(*state)
            before = settings.plan
            self._look_at(data)
            state = self.after_look()
            if settings.plan is before:
                return function(*state, stream)
            self.make_train_function(force=True)
            return self.train_function(*state, stream)

        return run

    def _look_at(self, data):
        """Settles by a batch what a plan must know, and checks it."""
        settings = self._settings
        batch = Batch(
            *keras.utils.unpack_x_y_sample_weight(
                backend.local_tensors(self, data)
            )
        )
        self._build_on(batch.x)
        self._settle()
        if settings.check == "never":
            return
        if self.correct_reach(batch):
            settings.plan = None
            self._settle()
        if check_step(self, batch):
            settings.looked = settings.plan

    def _build_on(self, x):
        if not self.built:
            with backend.build_scope(self), keras.StatelessScope():
                self(x)
        if self._settings.input_spec is None:
            self._settings.input_spec = spec_of(x)
