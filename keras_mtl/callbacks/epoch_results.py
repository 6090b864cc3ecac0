"""What callbacks that judge the metrics of an epoch have in common."""

import warnings
from collections.abc import Collection
from collections.abc import Mapping
from typing import Any

import keras


class EpochResults(keras.callbacks.Callback):
    """Base class of callbacks that look at several metrics of an epoch.

    Args:
        names: Names of the metrics, without the prefix.
        prefix: What the logs have before them.
    """

    def __init__(self, names: Collection[str], prefix: str):
        super().__init__()
        if not isinstance(prefix, str):
            raise ValueError(
                'Argument `prefix` must be a string such as "val_", or "" for '
                f"the metrics of training. Received: prefix={prefix!r}"
            )
        self.prefix = prefix
        self._names = tuple(names)
        self._is_validated = False
        self._has_results = False

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        self._has_results = False

    def on_epoch_begin(
        self, epoch: int, logs: dict[str, Any] | None = None
    ) -> None:
        self._is_validated = False

    def on_test_begin(self, logs: dict[str, Any] | None = None) -> None:
        self._is_validated = True

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        if not self._has_results:
            warnings.warn(
                f"{type(self).__name__} had nothing to judge: no epoch was "
                "validated. Pass `validation_data` to `fit`, or say "
                'prefix="" for the metrics of training.',
                stacklevel=2,
            )

    def read(self, logs: Mapping[str, float] | None) -> dict[str, float] | None:
        """Returns the metrics of the epoch by name.

        `None` if they are of the validation, and there was none after this
        epoch (`validation_freq`).

        Raises:
            ValueError: If one is missing.
        """
        if self.prefix == "val_" and not self._is_validated:
            return None
        logs = logs or {}
        missing = [
            self.prefix + name
            for name in self._names
            if self.prefix + name not in logs
        ]
        if missing:
            raise ValueError(
                f"{type(self).__name__} misses {missing} in the logs, which "
                f"have: {sorted(logs)}. Names are those of the logs, without "
                f"the prefix {self.prefix!r}."
            )
        self._has_results = True
        return {name: float(logs[self.prefix + name]) for name in self._names}
