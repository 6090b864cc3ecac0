"""The check of a trunk and of heads by task."""

from collections.abc import Mapping
from typing import Any

import keras


def check_trunk_and_heads(trunk: Any, heads: Any) -> None:
    """Raises `ValueError` unless these are a layer and a dict of layers."""
    layers = [trunk, *heads.values()] if isinstance(heads, Mapping) else []
    if not layers or not all(
        isinstance(layer, keras.layers.Layer) for layer in layers
    ):
        raise ValueError(
            "`trunk` must be a layer and `heads` a dict from task names to "
            f"layers. Received: trunk={trunk!r}, heads={heads!r}"
        )
