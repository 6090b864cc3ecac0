"""Aggregators around another aggregator."""

from typing import Any

import keras

from keras_mtl.aggregators.aggregator import Aggregator
from keras_mtl.aggregators.names import REGISTRY
from keras_mtl.component import Component
from keras_mtl.revive import entry
from keras_mtl.revive import revive


class WrappingAggregator(Aggregator):
    """Holds another aggregator, and takes it along to copies and configs.

    Args:
        aggregator: The aggregator inside, its name or config.
        **kwargs: Passed on to `keras_mtl.aggregators.Aggregator`.
    """

    def __init__(self, aggregator: Aggregator | str | dict, **kwargs: Any):
        super().__init__(**kwargs)
        inner = REGISTRY.get(aggregator)
        self._check_inner(inner)
        self.aggregator = inner
        self.observes = self.aggregator.observes

    def _check_inner(self, aggregator: Any) -> None:
        """Raises `ValueError` unless this can be put around it."""
        if not isinstance(aggregator, Aggregator):
            raise ValueError(
                "Argument `aggregator` must be a "
                "`keras_mtl.aggregators.Aggregator`. Received: aggregator="
                f"{aggregator}"
            )

    @property
    def inner_components(self) -> list[Component]:
        return [self.aggregator]

    def sibling(self, index: int) -> "WrappingAggregator":
        config = self.get_config()
        config["name"] = f"{config['name']}_{index}"
        config["aggregator"] = self.aggregator.sibling(index)
        return type(self)(**config)

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        config = dict(config)
        config["aggregator"] = revive(
            "aggregator", Aggregator, entry(config, "aggregator")
        )
        return super().from_config(config)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "aggregator": keras.saving.serialize_keras_object(self.aggregator),
        }
