"""Random calls on random models, and what must hold after each."""

import os
import tempfile
import warnings

import keras
import numpy as np
from hypothesis import note
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine
from hypothesis.stateful import initialize
from hypothesis.stateful import invariant
from hypothesis.stateful import precondition
from hypothesis.stateful import rule
from training import toy

import keras_mtl
from fuzzing import random_models
from fuzzing.random_models import OPTIMIZERS
from fuzzing.random_models import make_batch
from fuzzing.random_strategies import descriptions
from fuzzing.random_strategies import make_strategy

SEEDS = st.integers(0, 99)
#: The same numbers from the same sums, but by other compiled programs.
NEAR = {"rtol": 1e-4, "atol": 1e-5}


class TrainingMachine(RuleBasedStateMachine):
    """A model, compiled and trained in any order of calls."""

    @initialize(
        choice=random_models.model_choices(),
        optimizer=st.sampled_from(OPTIMIZERS),
        strategy=descriptions(),
        seed=SEEDS,
    )
    def make(self, choice, optimizer, strategy, seed):
        keras.utils.set_random_seed(seed)
        self.choice = choice
        self.model = random_models.make_model(choice)
        self.optimizer = "sgd"
        self.pending = 0
        #: Keras loads no state of an optimizer that was built with layers
        #: which are frozen now.
        self.froze_after_compiling = False
        self.model.compile("sgd", random_models.losses(choice), strategy=None)
        self.compile_again(optimizer, strategy)

    def teardown(self):
        keras.utils.clear_session()
        keras.backend.clear_session()

    # ------------------------------------------------------- what is held

    def everything(self, model=None):
        """All that training changes, except metrics."""
        model = self.model if model is None else model
        strategy = model.strategy
        return {
            "trainable": toy.arrays(model.network_variables(True)),
            "state": toy.arrays(model.network_variables(False)),
            "optimizer": toy.arrays(model.optimizer.variables),
            "strategy": []
            if strategy is None
            else toy.arrays(strategy.variables),
        }

    def is_done(self, action):
        """Runs what may be refused; then nothing has changed."""
        strategy, optimizer = self.model.strategy, self.model.optimizer
        before = self.everything()
        try:
            with warnings.catch_warnings():
                # Plain Keras says so of an output without a loss.
                warnings.filterwarnings("ignore", "Gradients do not exist")
                action()
        except ValueError as error:
            note(f"refused: {error}")
            assert len(str(error)) > 20, error
            assert self.model.strategy is strategy
            assert self.model.optimizer is optimizer
            if strategy is None:
                # Keras has run the layers before it looks at the labels.
                del before["state"]
            self.assert_unchanged(before)
            return False
        return True

    def assert_unchanged(self, before):
        after = self.everything()
        if self.optimizer == "averaged" or (
            len(after["optimizer"]) != len(before["optimizer"])
        ):
            # Keras builds it whenever it builds anything; averages start
            # with `fit`.
            del after["optimizer"], before["optimizer"]
        for part, values in before.items():
            toy.assert_same(values, after[part])

    def trains(self, action, steps):
        """Runs what makes some steps, or is refused."""
        before = self._counted()
        known = self.model.strategy
        if not self.is_done(action):
            return False
        strategy = self.model.strategy
        if strategy is not known:
            self.pending, before = 0, (before[0], 0)
        every = 1 if strategy is None else strategy.accumulate
        updates = (self.pending + steps) // every
        self.pending = (self.pending + steps) % every
        after = self._counted()
        assert after[0] - before[0] == updates, "the optimizer's iterations"
        if strategy is not None:
            assert after[1] - before[1] == updates, "the strategy's iterations"
        return True

    def _counted(self):
        optimizer, strategy = self.model.optimizer, self.model.strategy
        if isinstance(optimizer, keras.optimizers.LossScaleOptimizer):
            optimizer = optimizer.inner_optimizer
        # The property of that name counts updates, not calls.
        (variable,) = [v for v in optimizer.variables if v.name == "iteration"]
        iterations = int(toy.arrays([variable])[0])
        if strategy is None or not strategy.built:
            return iterations, 0
        return iterations, int(toy.arrays([strategy.iterations])[0])

    def batch(self, size, seed, missing=False, weighted=False):
        # Plain Keras does not know of missing labels.
        missing = missing and self.model.strategy is not None
        return make_batch(self.choice, size, seed, missing, weighted)

    def step(self, size, seed, **kwargs):
        x, y, weights = self.batch(size, seed, **kwargs)
        return self.model.train_on_batch(x, y, weights)

    # ------------------------------------------------------ what is called

    @rule(optimizer=st.sampled_from(OPTIMIZERS), strategy=descriptions())
    def compile_again(self, optimizer, strategy):
        def action():
            self.model.compile(
                random_models.make_optimizer(optimizer),
                random_models.losses(self.choice),
                strategy=make_strategy(strategy),
            )

        if self.is_done(action):
            self.optimizer = optimizer
            self.pending = 0
            self.froze_after_compiling = False

    @rule(
        seed=SEEDS,
        missing=st.booleans(),
        weighted=st.booleans(),
        validated=st.booleans(),
    )
    def fit(self, seed, missing, weighted, validated):
        x, y, weights = self.batch(8, seed, missing, weighted)
        settings = {}
        if validated:
            settings["validation_data"] = make_batch(self.choice, 4, seed)[:2]
        self.trains(
            lambda: self.model.fit(
                x,
                y,
                batch_size=4,
                sample_weight=weights,
                verbose=0,
                **self._balancer_data(self.model.strategy),
                **settings,
            ),
            2,
        )

    @rule(seed=SEEDS, strategy=descriptions())
    def fit_with_another_strategy(self, seed, strategy):
        x, y, _ = self.batch(8, seed)

        def action():
            new = keras_mtl.strategies.get(make_strategy(strategy))
            self.model.fit(
                x,
                y,
                batch_size=4,
                verbose=0,
                strategy=new,
                **self._balancer_data(new or self.model.strategy),
            )

        self.trains(action, 2)

    def _balancer_data(self, strategy):
        if strategy is None or not strategy.balancer.uses_passes:
            return {}
        return {"balancer_data": make_batch(self.choice, 4, 1)[:2]}

    @rule(
        size=st.sampled_from([1, 4]),
        seed=SEEDS,
        missing=st.booleans(),
        weighted=st.booleans(),
    )
    def train_on_batch(self, size, seed, missing, weighted):
        self.trains(
            lambda: self.step(size, seed, missing=missing, weighted=weighted),
            1,
        )

    # What momentum has gathered moves the weights all the same.
    @precondition(lambda self: self.optimizer != "momentum")
    @rule(seed=SEEDS)
    def step_of_length_zero(self, seed):
        """No variable is left where a perturbed pass had moved it."""
        optimizer = self.model.optimizer
        before = toy.arrays(self.model.network_variables(True))
        rate = float(toy.arrays([optimizer.learning_rate])[0])
        optimizer.learning_rate = 0.0
        self.trains(lambda: self.step(4, seed), 1)
        optimizer.learning_rate = rate
        toy.assert_same(toy.arrays(self.model.network_variables(True)), before)

    @precondition(lambda self: self.model.strategy is not None)
    @rule(seed=SEEDS)
    def bad_batch(self, seed):
        x, y, _ = self.batch(4, seed)
        before, scale = self.everything(), self._loss_scale()
        # See `test_nan_that_a_fused_relu_hides_changes_nothing`.
        hides = random_models.BACKEND == "tensorflow" and not (
            self.model.jit_compile or self.model.run_eagerly
        )
        try:
            self.model.train_on_batch(random_models.with_nan(x), y)
        except keras_mtl.NonFiniteError as error:
            named = "task 'a'" in str(error)
            assert named or hides and "The update was not" in str(error)
        except ValueError as error:
            # No `fit` has had any yet.
            assert self.model.strategy.balancer.uses_passes
            assert "pass `balancer_data=(x, y)`" in str(error)
        else:
            assert hides
            layers = random_models.layers_of(self.model)
            if scale is None or self._loss_scale() == scale:
                # A frozen layer has no gradient that would tell.
                assert not all(layer.trainable for layer in layers)
                return
            # Which to a loss scale is an overflow.
            assert self._loss_scale() == scale / 2
            before["optimizer"] = toy.arrays(self.model.optimizer.variables)
        self.assert_unchanged(before)

    def _loss_scale(self):
        """The scale of losses, or `None`."""
        optimizer = self.model.optimizer
        if not isinstance(optimizer, keras.optimizers.LossScaleOptimizer):
            return None
        if not optimizer.built:
            return float(optimizer.initial_scale)
        return float(toy.arrays([optimizer.dynamic_scale])[0])

    @rule(index=st.integers(0, 9), recompiled=st.booleans(), seed=SEEDS)
    def freeze_or_unfreeze(self, index, recompiled, seed):
        layers = random_models.layers_of(self.model)
        layer = layers[index % len(layers)]
        layer.trainable = not layer.trainable
        frozen = toy.arrays(layer.variables) if not layer.trainable else []
        self.froze_after_compiling = True
        # On JAX, Keras refuses loss scaling for other variables than those
        # that the optimizer was built with.
        recompiled |= random_models.BACKEND == "jax" and (
            self.optimizer == "scaled"
        )
        done = False
        if not recompiled and self.model.strategy is not None:
            done = self.trains(lambda: self.step(4, seed), 1)
        if not done:
            # As Keras wants it; or it was refused.
            for other in layers:
                other.trainable |= other is not layer or not frozen
            self.compile_again(self.optimizer, "ew")
            self.trains(lambda: self.step(4, seed), 1)
        if frozen:
            toy.assert_same(toy.arrays(layer.variables), frozen)

    @rule(seed=SEEDS)
    def evaluate(self, seed):
        x, y, weights = self.batch(4, seed, weighted=True)
        before = self.everything()
        results = self.model.evaluate(
            x, y, sample_weight=weights, verbose=0, return_dict=True
        )
        assert all(np.isfinite(value) for value in results.values())
        self.assert_unchanged(before)

    @rule(seed=SEEDS)
    def predict(self, seed):
        before = self.everything()
        for array in self.predictions(self.model, seed):
            assert np.all(np.isfinite(array))
        self.assert_unchanged(before)

    def predictions(self, model, seed):
        x, _, _ = make_batch(self.choice, 4, seed)
        return keras.tree.flatten(model.predict(x, verbose=0))

    def _forgets_what_is_frozen(self):
        # Of a subclass, Keras saves what `get_config` says, and no more.
        return self.choice.kind == "subclassed" and not all(
            layer.trainable for layer in random_models.layers_of(self.model)
        )

    @precondition(lambda self: not self._forgets_what_is_frozen())
    @rule(seed=SEEDS, goes_on=st.booleans())
    def save_and_load(self, seed, goes_on):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "model.keras")
            self.model.save(path)
            with warnings.catch_warnings():
                # Keras builds the optimizer before it loads its state, also
                # where it was saved before it was built.
                warnings.filterwarnings("ignore", "Skipping variable loading")
                loaded = keras.models.load_model(path)
        assert_near(
            self.predictions(loaded, seed), self.predictions(self.model, seed)
        )
        strategy = self.model.strategy
        if self.froze_after_compiling or (
            # Its data are not saved.
            strategy is not None and strategy.balancer.uses_passes
        ):
            return
        mine, pending = self.model, self.pending
        ends = []
        for model in (loaded, mine):
            self.model, self.pending = model, pending
            keras.utils.set_random_seed(seed)
            done = self.trains(lambda: self.step(4, seed), 1)
            ends.append((done, self.everything()))
        assert ends[0][0] == ends[1][0]
        if ends[0][0]:
            for key, values in ends[0][1].items():
                assert_near(values, ends[1][1][key])
        if goes_on:
            self.model = loaded

    @rule(seed=SEEDS)
    def save_and_load_weights(self, seed):
        fresh = random_models.make_model(self.choice)
        with (
            tempfile.TemporaryDirectory() as folder,
            warnings.catch_warnings(),
        ):
            # Keras tells of state that the fresh model has no place for.
            warnings.simplefilter("ignore")
            path = os.path.join(folder, "model.weights.h5")
            self.model.save_weights(path)
            fresh.load_weights(path)
        assert_near(
            self.predictions(fresh, seed), self.predictions(self.model, seed)
        )

    @rule(seed=SEEDS, cloned=st.booleans())
    def copy(self, seed, cloned):
        if cloned:
            model = keras.models.clone_model(self.model)
        else:
            config = self.model.get_config()
            model = type(self.model).from_config(config)
        model(make_batch(self.choice, 4, seed)[0])
        model.set_weights(self.model.get_weights())
        assert_near(
            self.predictions(model, seed), self.predictions(self.model, seed)
        )

    @rule(
        wrong=st.sampled_from(["strategy", "loss", "labels", "shape", "policy"])
    )
    def mistake(self, wrong):
        x, y, _ = self.batch(4, 0)
        loss = random_models.losses(self.choice)
        task = self.choice.tasks[0]
        if wrong == "labels":
            y = y * 2 if isinstance(y, list) else {"nothing": y[task]}
        elif wrong == "shape":
            y = keras.tree.map_structure(lambda _: np.ones((4, 2, 2)), y)
        actions = {
            "strategy": lambda: self.model.fit(x, y, strategy="no_method"),
            "loss": lambda: self.model.compile("sgd", {task: "no_loss"}),
            "labels": lambda: self.model.fit(x, y, verbose=0),
            "shape": lambda: self.model.fit(x, y, verbose=0),
            "policy": lambda: self.model.compile(
                "sgd", loss, strategy="ew", on_nonfinite="perhaps"
            ),
        }
        assert not self.is_done(actions[wrong])

    @rule(
        choice=random_models.model_choices(random_models.GRAPHS),
        optimizer=st.sampled_from(["sgd", "momentum", "clipped"]),
        strategy=st.sampled_from([None, "ew"]),
        weighted=st.booleans(),
        seed=SEEDS,
    )
    def compare_with_keras(self, choice, optimizer, strategy, weighted, seed):
        """Weights and logs are those of a `keras.Model`."""
        ends = []
        for make in (random_models.make_model, random_models.make_plain_model):
            keras.utils.set_random_seed(seed)
            model = make(choice)
            settings = {}
            if isinstance(model, keras_mtl.MultiTaskModel):
                settings["strategy"] = strategy
            model.compile(
                random_models.make_optimizer(optimizer),
                random_models.losses(choice),
                **settings,
            )
            for number in (seed, seed + 1):
                x, y, w = make_batch(choice, 4, number, weighted=weighted)
                with warnings.catch_warnings():
                    # Of an output without a loss.
                    warnings.filterwarnings("ignore", "Gradients do not exist")
                    logs = model.train_on_batch(x, y, w, return_dict=True)
            ends.append((toy.arrays(model.weights), logs))
        assert_near(ends[0][0], ends[1][0])
        assert list(ends[0][1]) == list(ends[1][1])
        for name, value in ends[1][1].items():
            np.testing.assert_allclose(ends[0][1][name], value, rtol=1e-4)

    # ------------------------------------------------------ what must hold

    @invariant()
    def everything_is_finite(self):
        for part, values in self.everything().items():
            for value in values:
                assert np.all(np.isfinite(value)), part


def assert_near(left, right):
    toy.assert_near(left, right, **NEAR)
