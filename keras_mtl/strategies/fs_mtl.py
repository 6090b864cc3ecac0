"""FS-MTL: seeking task-based flat regions."""

from typing import Any

from keras_mtl.aggregators import Aggregator
from keras_mtl.export import keras_mtl_export
from keras_mtl.flatness import TaskSAM
from keras_mtl.strategies.flatness_preset import FlatnessPreset


@keras_mtl_export("keras_mtl.strategies.FSMTL")
class FSMTL(FlatnessPreset):
    """Seeks weights that lie in a flat region of every task's loss.

    `Strategy(flatness=TaskSAM(...), aggregator=aggregator)`: each task moves
    the weights towards its own worst case, the gradient there is split into
    a loss part and a flatness part, and the aggregator merges each part with
    state of its own. See `keras_mtl.flatness.TaskSAM` for the formulas and
    the arguments.

    Args:
        aggregator: An aggregator, its name or config. Defaults to
            `"cagrad"`.
        rho: Radius of the perturbation. Defaults to `0.05`.
        head_rho: Radius for the tasks' own variables. Defaults to `None`,
            which means `rho`.
        norm: `"separate"` or `"joint"`. Defaults to `"separate"`.
        adaptive: Whether the radius is relative to the weights. Defaults to
            `False`.
        combine: `"decomposed"`, `"direct"`, `"second"` or `"each"`. Defaults
            to `"decomposed"`.
        interval: Perturb at every `interval`-th step. Defaults to `1`.
        reuse: Whether the steps between use the last flat part again.
            Defaults to `False`.
        scaling: `None` or `"gradient_norm"`. Defaults to `None`.
        variables: Which variables are perturbed. Defaults to `None` (all).
        balancer: Optional balancer, its name or config.
        random_numbers: `"same"` or `"new"`, for the perturbed passes.
            Defaults to `"same"`.
        **kwargs (Any): Passed on to `keras_mtl.Strategy`, such as `name` and
            `on_nonfinite`.

    Raises:
        ValueError: If an argument is outside its range.

    Example:

    ```python
    model.fit(x, y, strategy=keras_mtl.strategies.FSMTL("imtl_g", rho=0.1))
    ```

    Reference:

    - [Phan et al., 2025](https://arxiv.org/abs/2211.13723), Algorithm 1.
    """

    flatness_arguments = (
        "rho",
        "head_rho",
        "norm",
        "adaptive",
        "combine",
        "interval",
        "reuse",
        "scaling",
        "variables",
        "random_numbers",
    )

    def __init__(
        self,
        aggregator: Aggregator | str | dict = "cagrad",
        rho: Any = 0.05,
        head_rho: Any = None,
        norm: str = "separate",
        adaptive: bool = False,
        combine: str = "decomposed",
        interval: int = 1,
        reuse: bool = False,
        scaling: str | None = None,
        variables: Any = None,
        balancer: Any = None,
        random_numbers: str = "same",
        **kwargs: Any,
    ):
        super().__init__(
            balancer=balancer,
            flatness=TaskSAM(
                rho=rho,
                head_rho=head_rho,
                norm=norm,
                adaptive=adaptive,
                combine=combine,
                interval=interval,
                reuse=reuse,
                scaling=scaling,
                variables=variables,
                random_numbers=random_numbers,
            ),
            aggregator=aggregator,
            **kwargs,
        )
