"""Figures as images in TensorBoard, on every backend."""

import io
import time
from pathlib import Path
from typing import Any


def check_installed() -> None:
    """Raises `ImportError` unless what writes images is installed."""
    try:
        import matplotlib  # noqa: F401
        import tensorboard  # noqa: F401
    except ImportError as error:
        raise ImportError(
            "Images in TensorBoard, which `log_dir` asks for, need the "
            f"package {error.name!r}. Install it with "
            '`pip install "keras-mtl[tensorboard]"`.'
        ) from error


class TensorBoardImages:
    """Writes figures to a directory that TensorBoard reads.

    TensorBoard's own writer, which needs none of the frameworks.

    Args:
        directory: Where to write; it is made if need be.
    """

    def __init__(self, directory: str | Path):
        from tensorboard.summary.writer.event_file_writer import EventFileWriter

        self._writer = EventFileWriter(str(directory))

    def write(self, tag: str, figure: Any, step: int) -> None:
        """Adds a `matplotlib.figure.Figure`.

        Args:
            tag: Its name in TensorBoard.
            figure: The figure.
            step: The number of the step or epoch.
        """
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.compat.proto.summary_pb2 import Summary

        file = io.BytesIO()
        figure.savefig(file, format="png")
        width, height = (round(side) for side in figure.bbox.size)
        image = Summary.Image(
            height=height,
            width=width,
            colorspace=4,
            encoded_image_string=file.getvalue(),
        )
        summary = Summary(value=[Summary.Value(tag=tag, image=image)])
        self._writer.add_event(
            Event(wall_time=time.time(), step=step, summary=summary)
        )
        # To be seen while training goes on.
        self._writer.flush()

    def close(self) -> None:
        """Ends the file."""
        self._writer.close()
