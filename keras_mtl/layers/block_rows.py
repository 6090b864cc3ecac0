"""Rows of layers that stand in for each other."""

from typing import Any

import keras

from keras_mtl.layers.copies import Template


def checked_rows(blocks: Any, width: int) -> list[list[keras.layers.Layer]]:
    """Returns one list of layers per row, or raises `ValueError`.

    Args:
        blocks: What was given: per row a list of layers, or a layer to copy.
        width: Number of copies of such a layer.
    """
    rows = list(blocks) if isinstance(blocks, list | tuple) else []
    if not rows:
        raise ValueError(
            "Argument `blocks` must be a list with one entry per row. "
            f"Received: blocks={blocks!r}"
        )
    checked = []
    for depth, row in enumerate(rows):
        if isinstance(row, keras.layers.Layer):
            template = Template("blocks", row)
            row = [
                template.copy(f"{row.name}_{depth}_{j}") for j in range(width)
            ]
        if (
            not isinstance(row, list | tuple)
            or not row
            or not all(isinstance(block, keras.layers.Layer) for block in row)
        ):
            raise ValueError(
                "Each entry of `blocks` must be a layer to copy, or a list of "
                f"layers. Received in row {depth}: {row!r}"
            )
        checked.append(list(row))
    return checked
