"""The measure by which strategies are told from each other."""

from typing import NamedTuple

#: The sum of the losses, weighted as the model was compiled.
USUAL_OBJECTIVE = "test_loss"

DIRECTIONS = {"max": True, "min": False}

#: Ends of the names of metrics that are better if they are higher ...
HIGHER = (
    "accuracy",
    "auc",
    "correlation",
    "delta_p",
    "f1_score",
    "fbeta_score",
    "hypervolume",
    "io_u",
    "iou",
    "precision",
    "r2_score",
    "recall",
    "similarity",
)

#: ... and of those that are better if they are lower.
LOWER = (
    "brier_score",
    "crossentropy",
    "delta_m",
    "divergence",
    "error",
    "hinge",
    "loss",
    "mae",
    "mape",
    "mean_rank",
    "mse",
    "msle",
    "poisson",
)


class Objective(NamedTuple):
    """What strategies are compared by.

    Attributes:
        measure: Its name, as in summary.csv.
        higher_is_better: Whether more of it is better.
    """

    measure: str
    higher_is_better: bool

    @property
    def title(self) -> str:
        """The name for a page."""
        return self.measure.replace("_", " ")

    def order(self, value: float) -> float:
        """Returns what is the smaller, the better the value is."""
        return -value if self.higher_is_better else value


def read_objective(text: str) -> Objective:
    """Returns the objective that a setting names.

    Args:
        text: The name of a measure on the test data, and `:max` or `:min`
            where the name does not tell which is better.

    Raises:
        ValueError: If it is none.
    """
    measure, colon, direction = text.partition(":")
    if not measure.startswith("test_"):
        raise ValueError(
            "Argument `objective` must be the name of a measure on the test "
            "data as summary.csv has it, `test_loss` or "
            f"`test_mean_accuracy` for instance. Received: objective={text}"
        )
    if colon and direction not in DIRECTIONS:
        raise ValueError(
            "Argument `objective` must end in `:max` or `:min`, or have no "
            f"colon. Received: objective={text}"
        )
    if colon:
        return Objective(measure, DIRECTIONS[direction])
    higher = is_higher_better(measure)
    if higher is not None:
        return Objective(measure, higher)
    raise ValueError(
        "Argument `objective`: the name does not tell whether more is better. "
        f"Write {text}:max or {text}:min. Received: objective={text}"
    )


def is_higher_better(measure: str) -> bool | None:
    """Returns whether more of a measure is better, `None` if no name tells.

    Args:
        measure: Its name.
    """
    if measure.endswith(HIGHER):
        return True
    return False if measure.endswith(LOWER) else None
