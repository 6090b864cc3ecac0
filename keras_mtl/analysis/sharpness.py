"""The result of `task_sharpness`."""

import dataclasses

import numpy as np

from keras_mtl.export import keras_mtl_export


@keras_mtl_export("keras_mtl.analysis.Sharpness")
@dataclasses.dataclass(frozen=True, eq=False)
class Sharpness:
    """How sharp the losses of K tasks are: what `task_sharpness` returns.

    Entries of tasks without a label in the data are NaN.

    Attributes:
        tasks: Names of the tasks.
        losses: NumPy array `[K]` of task losses, without `loss_weights`.
        rho: The R radii of `gaps`.
        gaps: Array `[K, R]` of SAM gaps.
        adaptive_rho: The A radii of `adaptive_gaps`.
        adaptive_gaps: Array `[K, A]` of adaptive SAM gaps.
        eigenvalues: Array `[K]` of largest eigenvalues of the Hessian, or
            `None` if none were looked for.
        residuals: Array `[K]` of `||H v - eigenvalue v|| / |eigenvalue|` with
            the vector `v` that was found, of length 1: an eigenvalue of the
            Hessian is at most that far away, as a share. `None` where
            `eigenvalues` is.

    Example:

    ```python
    import numpy as np

    sharpness = keras_mtl.analysis.Sharpness(
        tasks=("depth", "normals"),
        losses=np.array([0.5, 0.2]),
        rho=(0.05,),
        gaps=np.array([[0.1], [0.02]]),
        adaptive_rho=(),
        adaptive_gaps=np.empty((2, 0)),
        eigenvalues=None,
        residuals=None,
    )
    sharpness.gaps[:, 0]  # [0.1, 0.02]
    ```
    """

    tasks: tuple[str, ...]
    losses: np.ndarray
    rho: tuple[float, ...]
    gaps: np.ndarray
    adaptive_rho: tuple[float, ...]
    adaptive_gaps: np.ndarray
    eigenvalues: np.ndarray | None
    residuals: np.ndarray | None
