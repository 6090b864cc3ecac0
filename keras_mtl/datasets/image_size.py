"""The check of an image's size."""

from collections.abc import Sequence

from keras_mtl.arguments import checked_integer


def checked_image_size(image_size: Sequence[int]) -> tuple[int, int]:
    """Returns height and width, or raises `ValueError`."""
    if not isinstance(image_size, (tuple, list)) or len(image_size) != 2:
        raise ValueError(
            "Argument `image_size` must be height and width. Received: "
            f"image_size={image_size}"
        )
    height, width = (checked_integer("image_size", it) for it in image_size)
    return height, width
