"""SAMO: sharpness-aware multi-task optimization."""

from typing import Any

from keras_mtl import flatness
from keras_mtl.aggregators import Aggregator
from keras_mtl.export import keras_mtl_export
from keras_mtl.strategies.flatness_preset import FlatnessPreset


@keras_mtl_export("keras_mtl.strategies.SAMO")
class SAMO(FlatnessPreset):
    """Perturbs the weights jointly, bent to each task by random probes.

    `Strategy(flatness=flatness.SAMO(...), aggregator=aggregator)`. See
    `keras_mtl.flatness.SAMO` for the formulas and for what to expect of it.

    Args:
        aggregator: An aggregator, its name or config. Defaults to
            `"fairgrad"`, as in the released scripts.
        rho: Radius of the perturbation. Defaults to `0.001`.
        alpha: Share of the joint gradient. Defaults to `0.5`.
        mu: Length of the random steps, per weight. Defaults to `0.01`.
        shared_direction: Whether all tasks use the same random direction.
            Defaults to `False`.
        seed: Optional integer, to draw the same directions in every run.
        balancer: Optional balancer, its name or config.
        **kwargs (Any): Passed on to `keras_mtl.Strategy`, such as `name` and
            `on_nonfinite`.

    Raises:
        ValueError: If an argument is outside its range.

    Example:

    ```python
    model.fit(x, y, strategy=keras_mtl.strategies.SAMO(rho=0.01))
    ```

    Reference:

    - [Ban et al., 2025](https://arxiv.org/abs/2507.07883), algorithm 1.
    """

    flatness_arguments = ("rho", "alpha", "mu", "shared_direction", "seed")

    def __init__(
        self,
        aggregator: Aggregator | str | dict = "fairgrad",
        rho: Any = 0.001,
        alpha: float = 0.5,
        mu: float = 0.01,
        shared_direction: bool = False,
        seed: int | None = None,
        balancer: Any = None,
        **kwargs: Any,
    ):
        super().__init__(
            balancer=balancer,
            flatness=flatness.SAMO(
                rho=rho,
                alpha=alpha,
                mu=mu,
                shared_direction=shared_direction,
                seed=seed,
            ),
            aggregator=aggregator,
            **kwargs,
        )
