"""Whether two strategies are alike."""

from typing import Any

from keras_mtl.balancers import Balancer
from keras_mtl.strategies import Strategy


def same_settings(strategy: Strategy | None, current: Strategy | None) -> bool:
    """Tells whether two strategies differ in nothing but their names."""
    if (
        strategy is None
        or current is None
        or type(strategy) is not type(current)
    ):
        return False
    given, known = strategy.balancer, current.balancer
    if not given.uses_passes and _identities(given) != _identities(known):
        return False
    return _without_names(strategy.get_config()) == _without_names(
        current.get_config()
    )


def _identities(balancer: Balancer) -> list[int]:
    """Which variables of the user's a balancer reads."""
    return [id(variable) for variable in balancer.data_variables]


def _without_names(config: Any) -> Any:
    if isinstance(config, dict):
        return {k: _without_names(v) for k, v in config.items() if k != "name"}
    if isinstance(config, (list, tuple)):
        return [_without_names(item) for item in config]
    return config
