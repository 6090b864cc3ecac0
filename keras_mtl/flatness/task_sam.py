"""Task-wise sharpness-aware minimization, the flatness part of FS-MTL."""

from keras_mtl.export import keras_mtl_export
from keras_mtl.flatness.flatness import Flatness


@keras_mtl_export("keras_mtl.flatness.TaskSAM")
class TaskSAM(Flatness):
    """Moves the weights to a worst case of their own for each task.

    Task k moves the shared weights and its own ones along its own gradient,

        eps_shared_k = rho g_shared_k / ||g_shared_k||
        eps_own_k = head_rho g_own_k / ||g_own_k||

    and takes its SAM gradient there. With `combine="decomposed"` the shared
    SAM gradient is split into the clean ("loss") part and the rest ("flat"
    part, the direction that lowers the gradient norm), each part is
    aggregated on its own, and the results are added:

        update = aggregate({g_k}) + aggregate({g_sam_k - g_k})

    The task's own weights follow their own SAM gradient. A step costs one
    forward and K backward passes, then K forward and K backward passes of
    trunk and one head. With an aggregator whose weights do not depend on the
    gradients, decomposed equals direct, and the shorter way is taken.

    The perturbed passes see the same dropout masks as the clean one, unless
    told otherwise, use batch statistics, and leave BatchNormalization's
    moving statistics alone.

    Args:
        rho: Radius: a non-negative float or a `LearningRateSchedule`.
            Defaults to `0.05`.
        head_rho: Radius for the task's own weights. Defaults to `None`,
            which means `rho`.
        norm: `"separate"` or `"joint"`. Defaults to `"separate"`, as in the
            paper; the released code uses one joint norm in one of its
            scripts.
        adaptive: Whether the radius is relative to the weights (ASAM).
            Defaults to `False`. Its radii are not comparable: the released
            code uses 2.0 where plain SAM uses 0.05.
        combine: `"decomposed"`, `"direct"`, `"second"` or `"each"`. Defaults
            to `"decomposed"`, the paper's Algorithm 1.
        interval: Perturb at every `interval`-th step. Defaults to `1`.
        reuse: Whether the steps between add the last flat part to their
            clean gradients, as LookSAM does, rather than being plain steps.
            Needs `interval` > 1 and `combine="decomposed"`, and memory for
            one copy of the weights. Defaults to `False`.
        scaling: `"gradient_norm"` multiplies the radius of task k by
            `K ||g_shared_k|| / sum_j ||g_shared_j||`, so that tasks with
            large gradients look further; the mean radius stays. Defaults to
            `None`.
        variables: Which variables are perturbed: `None`, `"all"`,
            `"normalization"` or a function. Defaults to `None` (all).
        random_numbers: `"same"`, or `"new"` for dropout masks of its own in
            every perturbed pass, as in the released code. The flat part then
            has the difference between two masks in it, and a radius of 0 is
            not the plain method. Defaults to `"same"`.
        **kwargs (Any): Passed on to `keras.layers.Layer`, such as `name`.

    Raises:
        ValueError: If an argument is outside its range.

    Example:

    ```python
    strategy = keras_mtl.Strategy(
        flatness=keras_mtl.flatness.TaskSAM(rho=0.05),
        aggregator="cagrad",
    )
    ```

    Reference:

    - [Phan et al., 2025](https://arxiv.org/abs/2211.13723), Algorithm 1 and
        equations 7 and 11.
    - [Kwon et al., 2021](https://arxiv.org/abs/2102.11600), for `adaptive`.
    - [Liu et al., 2022](https://arxiv.org/abs/2203.02714), LookSAM, for the
        idea of `reuse`; there, the part is rescaled to the new gradient.
    - [Mueller et al., 2023](https://arxiv.org/abs/2306.04226), for
        `variables="normalization"` (SAM-ON).
    """
