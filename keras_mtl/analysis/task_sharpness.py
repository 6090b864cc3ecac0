"""How sharp the loss of each task is around the weights of a model."""

from collections.abc import Sequence
from typing import Any

from keras_mtl.analysis.sharpness import Sharpness
from keras_mtl.analysis.sharpness_probe import SharpnessProbe
from keras_mtl.export import keras_mtl_export


@keras_mtl_export("keras_mtl.analysis.task_sharpness")
def task_sharpness(
    model: Any,
    data: Any,
    num_batches: int | None = None,
    batch_size: int = 32,
    rho: float | Sequence[float] | None = 0.05,
    adaptive_rho: float | Sequence[float] | None = 0.5,
    variables: str = "all",
    training: bool = False,
    iterations: int = 100,
    tolerance: float = 1e-3,
    seed: int = 0,
) -> Sharpness:
    """Measures how sharp the loss of each task is around the weights.

    For a trained model, to see whether a method of `keras_mtl.flatness` has
    found what it looks for; `keras_mtl.callbacks.SharpnessMonitor` measures
    the same while training. Nothing of the model is changed.

    The loss `L_k` of task k is its mean over all of the data, without
    `loss_weights` and regularizers: the `<task>_loss` of `model.evaluate`.
    With its gradient `g` at the weights `w`:

    - SAM gap: `L_k(w + rho g / ||g||) - L_k(w)`;
    - adaptive SAM gap: `L_k(w + rho w^2 g / || |w| g ||) - L_k(w)`, which is
      the same for weights of another scale that compute the same;
    - the largest eigenvalue of the Hessian of `L_k`, by power iteration on
      exact Hessian-vector products.

    The points are those of the first order, where methods of that kind go:
    for large radii the loss may be higher elsewhere in the ball, or even
    lower there than at the weights.

    Args:
        model: A compiled `keras_mtl.MultiTaskModel`.
        data: Tuple `(x, y)` or `(x, y, sample_weight)` of arrays, as for
            `fit`; a `keras.utils.PyDataset`; or an iterable of such batches,
            for instance a tf.data.Dataset or a list.
        num_batches: How many batches to take, the first ones. Defaults to
            `None`: all.
        batch_size: How many samples are cut out of arrays at a time, which
            bounds the memory. Results are the same but for rounding, unless
            layers look at the whole batch. Defaults to `32`.
        rho: Radius of the SAM gap, at least 0, or several; `None` for none.
            Defaults to `0.05`.
        adaptive_rho: Radius of the adaptive SAM gap, or several; `None` for
            none. Radii of this kind are about ten times larger. Defaults to
            `0.5`.
        variables: `"all"`, the shared variables and the task's own ones
            together, or `"shared"`. Defaults to `"all"`.
        training: Whether layers are in training mode: `BatchNormalization`
            normalizes by each batch and `Dropout` drops, the same units in
            all passes. Defaults to `False`, as in inference.
        iterations: The largest number of Hessian-vector products in a run of
            power iteration. There are two runs at most: the second if the
            largest eigenvalue is not the one of the largest size. 0 leaves
            eigenvalues out. Defaults to `100`.
        tolerance: Relative residual at which a run stops, in [0, 1). The
            eigenvalue mostly is closer than that. Defaults to `0.001`.
        seed: Integer, which says where power iteration begins. Defaults to
            `0`.

    Returns:
        A `keras_mtl.analysis.Sharpness`.

    Raises:
        ValueError: If an argument is out of range, the data are none of
            these, or the model is not compiled with losses.

    Example:

    ```python
    sharpness = keras_mtl.analysis.task_sharpness(
        model, (x, y), rho=[0.01, 0.05, 0.1]
    )
    sharpness.gaps  # [K, 3]
    ```

    References:
        Foret et al., Sharpness-Aware Minimization for Efficiently Improving
        Generalization, ICLR 2021, equation 2 for the point,
        [arXiv:2010.01412](https://arxiv.org/abs/2010.01412). There gradients
        are of one batch; these are of all data. Kwon et al., ASAM, ICML 2021,
        equation 3, [arXiv:2102.11600](https://arxiv.org/abs/2102.11600),
        without its `eta`, as in `keras_mtl.flatness`. Yao et al., PyHessian,
        2020, [arXiv:1912.07145](https://arxiv.org/abs/1912.07145), algorithm
        2 for power iteration. It stops when the estimate stands still, and
        returns the eigenvalue of the largest size even if that is negative;
        this stops by the residual and returns the largest eigenvalue.
    """
    probe = SharpnessProbe(
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
    return probe(model)
