"""DB-MTL: dual balancing of losses and gradients."""

from collections.abc import Sequence
from typing import Any

from keras_mtl import aggregators
from keras_mtl.balancers import Log
from keras_mtl.export import keras_mtl_export
from keras_mtl.strategies.strategy import Strategy


@keras_mtl_export("keras_mtl.strategies.DBMTL")
class DBMTL(Strategy):
    """Balances the losses by logarithm and the gradients by norm.

    `Strategy(balancer=Log(eps=1e-8), aggregator=aggregators.DBMTL(beta,
    sigma, alignment, gate))`: the gradient of each log-loss enters a moving
    average, the averages are scaled to the largest norm among them and
    summed. The tasks' own variables follow the gradient of their log-loss.

    Args:
        beta: Coefficient of the moving average at the first step, in
            `[0, 1)`. Defaults to `0.9`.
        sigma: Its decay: step k uses `beta / k^sigma`. Defaults to `0.5`;
            0, the default of one library, is the paper's worst setting.
        alignment: Smallest cosine that a scaled average may have with the sum
            of them, in (-1, 1). Not in the paper. Defaults to `None`, no
            limit.
        gate: Importances of the tasks: `None`, `"softmax"` to learn them, or
            one number per task. Not in the paper. Defaults to `None`, equal
            ones.
        **kwargs (Any): Passed on to `keras_mtl.Strategy`, such as `name` and
            `on_nonfinite`.

    Raises:
        ValueError: If an argument is outside its range.

    Example:

    ```python
    model.fit(x, y, strategy=keras_mtl.strategies.DBMTL())
    ```

    Reference:

    - [Lin et al., 2023](https://arxiv.org/abs/2308.12029), Algorithm 1.
    """

    def __init__(
        self,
        beta: float = 0.9,
        sigma: float = 0.5,
        alignment: float | None = None,
        gate: str | Sequence[float] | None = None,
        **kwargs: Any,
    ):
        super().__init__(
            balancer=Log(eps=1e-8),
            aggregator=aggregators.DBMTL(
                beta=beta, sigma=sigma, alignment=alignment, gate=gate
            ),
            **kwargs,
        )

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        for argument in ("balancer", "flatness", "aggregator"):
            del config[argument]
        return {
            **config,
            "beta": self.aggregator.beta,
            "sigma": self.aggregator.sigma,
            "alignment": self.aggregator.alignment,
            "gate": self.aggregator.get_config()["gate"],
        }
