"""How sharp the tasks' losses are, while training."""

from typing import Any

import keras

from keras_mtl.analysis.sharpness import Sharpness
from keras_mtl.analysis.sharpness_probe import SharpnessProbe
from keras_mtl.arguments import checked_integer
from keras_mtl.arguments import checked_number
from keras_mtl.export import keras_mtl_export


@keras_mtl_export("keras_mtl.callbacks.SharpnessMonitor")
class SharpnessMonitor(keras.callbacks.Callback):
    """Measures how sharp the loss of each task is, after epochs.

    On data that stay the same, it adds to the logs, for each task:

    - `<task>_sam_gap`: by how much the loss rises a step of length `rho` up
      along its gradient;
    - `<task>_adaptive_sam_gap`: the same with the radius of ASAM;
    - `<task>_top_eigenvalue`: the largest eigenvalue of the Hessian.

    `keras_mtl.analysis.task_sharpness` has the formulas and measures a model
    without training it. Callbacks that come later in the list find the
    numbers, so put this one before `CSVLogger` and `TensorBoard`; `History`
    has them in any case.

    The first epoch is measured, and then every `interval`-th. The others have
    no entries: the lists in `History` are shorter then, and `CSVLogger`
    writes `NA`.

    The model is left as it is, bit for bit: weights, statistics of
    `BatchNormalization`, seeds, optimizer and strategy. A measurement costs
    one forward and one backward pass of the data for each task, a forward
    pass for each gap, and up to twice `iterations` Hessian-vector products,
    each about two backward passes; the first one is compiled as well. With
    `iterations=0` it costs little.

    Args:
        data: Tuple `(x, y)` or `(x, y, sample_weight)` of arrays, a
            `keras.utils.PyDataset`, or an iterable of such batches; for
            instance what `fit` gets as `validation_data`. It is read once,
            when the callback is made, and stays on the device.
        num_batches: How many batches to take, the first ones; `None` for all.
            Defaults to `4`.
        batch_size: How many samples are cut out of arrays at a time. Defaults
            to `32`.
        rho: Radius of the SAM gap, at least 0, or `None` for none. Defaults
            to `0.05`.
        adaptive_rho: Radius of the adaptive SAM gap, or `None` for none.
            Defaults to `0.5`.
        variables: `"all"`, the shared variables and the task's own ones
            together, or `"shared"`. Defaults to `"all"`.
        training: Whether layers are in training mode: `BatchNormalization`
            normalizes by each batch and `Dropout` drops. Defaults to `False`,
            as in inference.
        iterations: The largest number of Hessian-vector products in a run of
            power iteration; 0 leaves eigenvalues out. Defaults to `100`.
        tolerance: Relative residual at which a run stops, in [0, 1).
            Defaults to `0.001`.
        seed: Integer, which says where power iteration begins. Defaults to
            `0`.
        interval: Positive integer: how many epochs lie between measurements.
            Defaults to `1`.

    Attributes:
        epochs: The epochs that were measured, counted from 0.
        results: A `keras_mtl.analysis.Sharpness` for each of them, with what
            the logs do not have, such as residuals of the eigenvalues.

    Raises:
        ValueError: If an argument is out of range or the data are none of
            these; in `fit`, if the model is no `keras_mtl.MultiTaskModel`
            with losses.

    Example:

    ```python
    monitor = keras_mtl.callbacks.SharpnessMonitor((x, y), interval=2)
    history = model.fit(x, y, epochs=4, callbacks=[monitor])
    history.history["left_sam_gap"]  # of the first and the third epoch
    monitor.results[-1].eigenvalues  # [K]
    ```

    References:
        Those of `keras_mtl.analysis.task_sharpness`.
    """

    def __init__(
        self,
        data: Any,
        num_batches: int | None = 4,
        batch_size: int = 32,
        rho: float | None = 0.05,
        adaptive_rho: float | None = 0.5,
        variables: str = "all",
        training: bool = False,
        iterations: int = 100,
        tolerance: float = 1e-3,
        seed: int = 0,
        interval: int = 1,
    ):
        super().__init__()
        for name, radius in (("rho", rho), ("adaptive_rho", adaptive_rho)):
            if radius is not None:
                checked_number(name, radius, or_else="None")
        self.interval = checked_integer("interval", interval)
        self._probe = SharpnessProbe(
            data,
            num_batches,
            batch_size,
            rho,
            adaptive_rho,
            variables,
            training,
            iterations,
            tolerance,
            seed,
        )
        self.epochs: list[int] = []
        self.results: list[Sharpness] = []

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        self.epochs, self.results = [], []

    def on_epoch_end(
        self, epoch: int, logs: dict[str, Any] | None = None
    ) -> None:
        # The first one that is trained, also where training goes on.
        if self.epochs and (epoch - self.epochs[0]) % self.interval:
            return
        sharpness = self._probe(self.model)
        self.epochs.append(epoch)
        self.results.append(sharpness)
        if logs is not None:
            logs.update(_entries(sharpness))


def _entries(sharpness: Sharpness) -> dict[str, float]:
    """What goes into the logs."""
    columns = {
        "sam_gap": sharpness.gaps[:, :1],
        "adaptive_sam_gap": sharpness.adaptive_gaps[:, :1],
    }
    if sharpness.eigenvalues is not None:
        columns["top_eigenvalue"] = sharpness.eigenvalues[:, None]
    return {
        f"{task}_{name}": float(values[k, 0])
        for name, values in columns.items()
        for k, task in enumerate(sharpness.tasks)
        if values.size
    }
