"""The data and the model that a comparison is about."""

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from keras_mtl import datasets
from keras_mtl import strategies
from keras_mtl.aggregators import Aggregator
from keras_mtl.arguments import checked_choice
from keras_mtl.balancers import Fixed
from keras_mtl.comparison.calls import Call
from keras_mtl.comparison.calls import make
from keras_mtl.comparison.calls import read_call
from keras_mtl.comparison.calls import takes
from keras_mtl.comparison.data import Data
from keras_mtl.comparison.data import read_data
from keras_mtl.comparison.examples import Arrays
from keras_mtl.comparison.import_path import import_object
from keras_mtl.comparison.import_path import is_import_path
from keras_mtl.comparison.settings import Settings
from keras_mtl.datasets.domain_folders import DOMAINS
from keras_mtl.datasets.recipe import Recipe
from keras_mtl.datasets.recipes import RECIPES
from keras_mtl.flatness import Flatness
from keras_mtl.models import MultiTaskModel
from keras_mtl.strategies import Strategy

#: Data sets that have a model: side of the images, and Adam's learning rate.
IMAGE_PAIRS = {
    "multi_digits": (20, 5e-3),
    "multi_fashion": (36, 1e-3),
    "multi_fashion_mnist": (36, 1e-3),
    "multi_mnist": (36, 1e-3),
}


#: The weighted sum of the losses, whose weights are tuned.
SCALARIZATION = "scalarization"

#: One model for each task, which is trained by itself.
SINGLE_TASK = "single_task"

NOTHING: Mapping[str, Any] = {}


def check_problem(settings: Settings) -> None:
    """Finds what is wrong with the settings before anything is started.

    Raises:
        FileNotFoundError: If files of the data set are missing.
        ImportError: If a package that the data set needs is missing.
        ValueError: If a name means nothing, or things do not go together.
    """
    for name in settings.strategies:
        resolve_strategy(name)
    dataset = settings.dataset
    if is_import_path(dataset):
        _function("dataset", dataset)
    else:
        checked_choice("dataset", dataset, datasets.names())
    if dataset in DOMAINS:
        raise ValueError(
            f"Data set {dataset!r} has other inputs for each task, which "
            "cannot be compared on. Pass one whose tasks share the inputs."
        )
    if settings.model is not None:
        _function("model", settings.model)
    elif dataset not in IMAGE_PAIRS:
        raise ValueError(
            f"There is no model for the data set {dataset!r}: name a function "
            "that returns a compiled one, --model my_module:build. Without "
            f"it, the data sets are: {', '.join(IMAGE_PAIRS)}"
        )
    if dataset in RECIPES:
        # Says which files or packages are missing.
        for split in ("train", "test"):
            RECIPES[dataset]().open(split, settings.data_dir)


def load_data(settings: Settings) -> Data:
    """Returns the examples, `limit` of each split at most.

    No more of them are made or read where that can be helped: a function of
    the user that has an argument `limit` is told.
    """
    if not is_import_path(settings.dataset):
        recipe = RECIPES[settings.dataset]()
        return Data(
            train=_first_of(recipe, "train", settings),
            test=_first_of(recipe, "test", settings),
        )
    call = read_call("dataset", settings.dataset)
    function = _function("dataset", settings.dataset)
    told = {}
    if settings.limit is not None and takes(function, "limit"):
        told = {"limit": settings.limit}
    arguments = {**told, **call.arguments}
    data = read_data(
        settings.dataset,
        make("dataset", Call(call.name, arguments), function),
    )
    if settings.limit is not None and data.is_stream and not told:
        raise ValueError(
            f"Argument `limit` cuts arrays, but {settings.dataset} returns "
            "examples in batches: give the function an argument `limit`, "
            f"which it is then told. Received: limit={settings.limit}"
        )
    return data.limited(settings.limit)


def _first_of(recipe: Recipe, split: str, settings: Settings) -> Arrays:
    samples = recipe.checked_open(split, settings.data_dir)
    count = len(samples)
    if settings.limit is not None:
        count = min(count, settings.limit)
    return Arrays(*samples.take(np.arange(count)))


def make_model(settings: Settings) -> MultiTaskModel:
    """Returns a new compiled model.

    Raises:
        ValueError: If the user's function returns something else.
    """
    if settings.model is None:
        model = default_model(settings.dataset)
    else:
        model = _called("model", settings.model)
        _check_model(settings.model, model)
    if settings.learning_rate is not None:
        try:
            model.optimizer.learning_rate = settings.learning_rate
        except TypeError as error:
            raise ValueError(
                "Argument `learning_rate` does not go with a model whose "
                "optimizer has a schedule: leave it out, or give the "
                f"optimizer a number. {error}"
            ) from error
    return model


def default_model(dataset: str) -> MultiTaskModel:
    """Returns a small convolutional trunk with a classifier per image.

    In the manner of LeNet: two convolutions, which halve the image, and a
    dense layer, all shared; each task has one dense layer of its own. It is
    compiled with Adam and a cross-entropy per task.

    Args:
        dataset: One of `IMAGE_PAIRS`.
    """
    side, learning_rate = IMAGE_PAIRS[dataset]
    inputs = keras.Input((side, side, 1), name="image")
    x = keras.layers.Conv2D(
        32, 4, strides=2, activation="relu", name="convolution_1"
    )(inputs)
    x = keras.layers.Conv2D(
        32, 3, strides=2, activation="relu", name="convolution_2"
    )(x)
    x = keras.layers.Flatten(name="flatten")(x)
    x = keras.layers.Dense(64, activation="relu", name="features")(x)
    outputs = {
        task: keras.layers.Dense(10, name=task)(x) for task in ("left", "right")
    }
    model = MultiTaskModel(inputs, outputs)
    model.compile(
        optimizer=keras.optimizers.Adam(learning_rate),
        loss={
            task: keras.losses.SparseCategoricalCrossentropy(from_logits=True)
            for task in outputs
        },
        metrics={task: ["accuracy"] for task in outputs},
    )
    return model


def resolve_strategy(name: str, tuned: Mapping[str, Any] = NOTHING) -> Any:
    """Returns the strategy of a name, or what `module:function` returns.

    Args:
        name: Either, with arguments in parentheses, if any.
        tuned: More arguments, and `loss_weights`, which are fixed weights for
            the names of strategies. Defaults to none.
    """
    call = read_call("strategies", name)
    given = {**call.arguments, **tuned}
    if not is_import_path(name):
        weights = given.pop("loss_weights", None) if tuned else None
        parts = {} if weights is None else {"balancer": Fixed(weights)}
        if call.name == SINGLE_TASK:
            # Of the one loss that each of its models has.
            return make("strategies", call, lambda: Strategy())
        if call.name == SCALARIZATION:
            return Strategy(**parts)
        found = strategies.class_of(call.name)
        if found is None or not {**given, **parts}:
            # Says which names there are.
            return strategies.get(call.name)
        if issubclass(found, Strategy):
            given |= parts
        made = make("strategies", Call(call.name, given), found)
        if isinstance(made, Aggregator):
            return Strategy(aggregator=made, **parts)
        if isinstance(made, Flatness):
            return Strategy(flatness=made, **parts)
        return strategies.get(made)
    function = _function("strategies", name)
    strategy = strategies.get(
        make("strategies", Call(call.name, given), function)
    )
    if strategy is None:
        raise ValueError(
            f"{name} must return a strategy, a component of one or a name. It "
            "returned: None"
        )
    return strategy


def _function(argument: str, path: str) -> Any:
    function = import_object(argument, path)
    if not callable(function):
        raise ValueError(
            f"Argument `{argument}` must name a function. "
            f"Received: {argument}={path}, which is of type "
            f"{type(function).__name__}"
        )
    return function


def _called(argument: str, path: str) -> Any:
    """Returns what a function of the user returns."""
    function = _function(argument, path)
    return make(argument, read_call(argument, path), function)


def _check_model(path: str, model: Any) -> None:
    if not isinstance(model, MultiTaskModel):
        raise ValueError(
            f"{path} must return a keras_mtl.MultiTaskModel; wrap another "
            "Keras model with MultiTaskModel.from_model. It returned: "
            f"{type(model).__name__}"
        )
    if not model.compiled or not model.tasks:
        raise ValueError(
            f"The model that {path} returns must be compiled: call "
            "model.compile(optimizer, loss={task: ...}) in it."
        )
    if int(model.optimizer.iterations) > 0:
        raise ValueError(
            f"{path} must make a new model at each call, for each run starts "
            "from the beginning. It returned one that has been trained."
        )
