"""The contract of flatness regularizers, and the perturbations they share."""

from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any
from typing import TypeAlias

import keras
from keras import ops

from keras_mtl.arguments import checked_choice
from keras_mtl.arguments import checked_integer
from keras_mtl.arguments import checked_number
from keras_mtl.component import Component
from keras_mtl.export import keras_mtl_export
from keras_mtl.flatness.parts import Parts
from keras_mtl.flatness.perturbed import Perturbed
from keras_mtl.flatness.points import Nearby
from keras_mtl.flatness.scaled_to_radius import scaled_to_radius
from keras_mtl.gradients.jacobian import Jacobian
from keras_mtl.gradients.kind import UpdateKind
from keras_mtl.gradients.passes import TaskGradients
from keras_mtl.revive import revive_function
from keras_mtl.revive import revive_schedule
from keras_mtl.typing import Tensor

Schedule: Any = keras.optimizers.schedules.LearningRateSchedule
Radius: TypeAlias = Any  # float | Schedule

#: Names of the variables of Keras's normalization layers.
NORMALIZATION_VARIABLES = ("gamma", "beta", "scale")

COMBINATIONS = ("decomposed", "direct", "second", "each")
RANDOM_NUMBERS = ("same", "new")


@keras_mtl_export("keras_mtl.flatness.Flatness")
class Flatness(Component):
    """Base class of sharpness-aware regularizers.

    A flatness regularizer says where, near the current weights, the task
    gradients are taken a second time, and how the two sets of gradients are
    merged. Its `make_kind` tells how a step goes; the default takes clean
    gradients, those that `gradients_near` returns, and joins them.

    Args:
        rho: Radius of the perturbation: a non-negative float, or a
            `keras.optimizers.schedules.LearningRateSchedule` of the step.
            Assigning a float to the attribute `rho` between epochs takes
            effect at the next step. Defaults to `0.05`.
        head_rho: Radius for the task's own variables, of the same kinds.
            Defaults to `None`, which means `rho`.
        norm: `"separate"` scales the shared block and the task's own block
            each to its radius; `"joint"` scales both together to `rho`. A
            shared variable that one present task reaches counts as its own.
        adaptive: Whether the radius is measured relative to the weights
            (ASAM): `eps = rho w^2 g / || |w| g ||`. Defaults to `False`.
        combine: How clean and perturbed task gradients are merged:
            `"decomposed"` aggregates the clean gradients and the differences
            apart and adds the results, `"direct"` aggregates the perturbed
            gradients, `"second"` aggregates the two results of `"decomposed"`
            once more, `"each"` aggregates clean gradient and difference of
            each task and then the tasks.
        interval: Positive integer: perturb at every `interval`-th step only;
            the others are plain steps. Defaults to `1`.
        reuse: Whether the steps between use the last flat part again. Needs
            `interval` > 1 and `combine="decomposed"`. Defaults to `False`.
        scaling: `"gradient_norm"` gives each task a radius by its share of
            the gradient norms. Defaults to `None`: the same for all.
        variables: Which variables are perturbed: `None` or `"all"`,
            `"normalization"` (scale and offset of normalization layers, known
            by their names), or a function from a variable to a bool.
        random_numbers: `"same"`: perturbed passes see the random numbers of
            the clean one, such as its dropout masks; `"new"`: each has its
            own. Defaults to `"same"`.
        **kwargs (Any): Passed on to `keras.layers.Layer`, such as `name`.

    Raises:
        ValueError: If an argument is outside its range.
    """

    #: Whether a step makes more passes than its first one.
    makes_passes = True

    #: Arguments of this class that a method has no use for.
    fixed_arguments: tuple[str, ...] = ()

    def __init__(
        self,
        rho: Radius = 0.05,
        head_rho: Radius | None = None,
        norm: str = "separate",
        adaptive: bool = False,
        combine: str = "decomposed",
        interval: int = 1,
        reuse: bool = False,
        scaling: str | None = None,
        variables: str | Callable[[keras.Variable], bool] | None = None,
        random_numbers: str = "same",
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.random_numbers = checked_choice(
            "random_numbers", random_numbers, RANDOM_NUMBERS
        )
        self._radii: dict[str, Any] = {}
        self._radius_weights: dict[str, Any] = {}
        self._set_radius("rho", rho)
        if head_rho is not None:
            self._set_radius("head_rho", head_rho)
        self.norm = checked_choice("norm", norm, ("separate", "joint"))
        self.combine = checked_choice("combine", combine, COMBINATIONS)
        self.interval = checked_integer("interval", interval)
        self.scaling = checked_choice(
            "scaling", scaling, (None, "gradient_norm")
        )
        if norm == "joint" and head_rho is not None:
            raise ValueError(
                'Argument `head_rho` has no meaning with norm="joint", where '
                "`rho` is the radius of shared and own weights together. Use "
                f'norm="separate" or drop it. Received: head_rho={head_rho}.'
            )
        if isinstance(variables, dict):
            variables = revive_function("variables", variables)
        if not (
            variables in (None, "all", "normalization") or callable(variables)
        ):
            raise ValueError(
                'Argument `variables` must be None, "all", "normalization" or '
                "a function from a variable to a bool. Received: "
                f"variables={variables!r}."
            )
        if reuse and (interval == 1 or combine != "decomposed"):
            raise ValueError(
                "Argument `reuse` takes the last flat part again in the steps "
                "between two perturbations: it needs `interval` > 1 and "
                f'combine="decomposed". Received: interval={interval}, '
                f"combine={combine!r}."
            )
        self.reuse = bool(reuse)
        self.adaptive = bool(adaptive)
        self.perturbed_variables = variables

    def check_not_fixed(self, arguments: Mapping[str, Any]) -> None:
        """Raises `ValueError` for arguments that the method does not have."""
        for name in self.fixed_arguments:
            if name in arguments:
                raise ValueError(
                    f"{type(self).__name__} has no argument `{name}`. "
                    f"Received: {name}={arguments[name]!r}"
                )

    def _set_radius(self, argument: str, value: Any) -> None:
        if isinstance(value, dict):
            value = revive_schedule(value)
        if not isinstance(value, Schedule):
            value = checked_number(
                argument,
                value,
                or_else="a keras.optimizers.schedules.LearningRateSchedule",
            )
        weight = self._radius_weights.get(argument)
        if self.built and (weight is None) != isinstance(value, Schedule):
            raise ValueError(
                f"`{argument}` cannot change between a number and a schedule "
                "during training: give the model a new strategy."
            )
        self._radii[argument] = value
        if weight is not None:
            weight.assign(value)

    @property
    def rho(self) -> Radius:
        """Radius of the perturbation; a float may be assigned."""
        return self._radii["rho"]

    @rho.setter
    def rho(self, value: Any) -> Any:
        self._set_radius("rho", value)

    @property
    def head_rho(self) -> Radius | None:
        """Radius for own variables, or `None` where it is `rho`."""
        return self._radii.get("head_rho")

    @head_rho.setter
    def head_rho(self, value: Any) -> Any:
        if value is None or "head_rho" not in self._radii:
            raise ValueError(
                "`head_rho` can be assigned only where the constructor got "
                "one: its radius is `rho` otherwise. Received: "
                f"head_rho={value}."
            )
        self._set_radius("head_rho", value)

    def build(
        self,
        dtype: str = "float32",
        shapes: Sequence[tuple[int, ...]] = (),
    ) -> None:
        """Creates the state.

        Args:
            dtype: Dtype of the state.
            shapes: Shapes of all variables: shared, then own ones by task.
                Defaults to none.
        """
        for argument, value in self._radii.items():
            if not isinstance(value, Schedule):
                self._radius_weights[argument] = self.add_state(
                    argument, dtype=dtype, value=value
                )
        self.build_state(list(shapes), dtype)
        self.built = True

    def build_state(self, shapes: list[tuple[int, ...]], dtype: str) -> None:
        """Creates state of the method's own."""

    def state_reset(self) -> None:
        super().state_reset()
        # A radius is a setting, and stays as it was last assigned.
        for argument, weight in self._radius_weights.items():
            weight.assign(self._radii[argument])

    def load_own_variables(self, store: Any) -> None:
        super().load_own_variables(store)
        # The attributes follow the weights; a number that the weight can only
        # round keeps all its digits.
        for argument, weight in self._radius_weights.items():
            loaded = ops.convert_to_numpy(weight.value)
            if loaded.dtype.type(self._radii[argument]) != loaded:
                self._radii[argument] = float(loaded)

    def radius(self, argument: str, iterations: Tensor) -> Tensor:
        """Returns the radius `"rho"` or `"head_rho"` at a step."""
        if argument not in self._radii:
            argument = "rho"
        value = self._radii[argument]
        if isinstance(value, Schedule):
            return ops.maximum(value(iterations), 0.0)
        return ops.convert_to_tensor(self._radius_weights[argument])

    def perturbs(self, variable: keras.Variable) -> bool:
        """Tells whether a variable is perturbed."""
        if self.perturbed_variables in (None, "all"):
            return True
        if self.perturbed_variables == "normalization":
            return variable.name in NORMALIZATION_VARIABLES
        chosen: Any = self.perturbed_variables
        return bool(chosen(variable))

    def selected(self, variables: Sequence[keras.Variable]) -> list[bool]:
        """Tells of each variable whether it is perturbed."""
        return [self.perturbs(variable) for variable in variables]

    def perturb(
        self,
        values: Sequence[Tensor],
        gradients: Sequence[Tensor],
        selected: Sequence[bool],
        num_shared: int,
        iterations: Tensor,
        factor: Tensor | None = None,
    ) -> list[Tensor | None]:
        """Returns perturbations of one task's variables.

        Args:
            values: Values of the shared variables, then of the own ones.
            gradients: The task's gradients in the same order.
            selected: Which of them are perturbed.
            num_shared: How many are shared.
            iterations: Number of steps made so far, for schedules.
            factor: Optional scalar by which the radii are multiplied.

        Returns:
            List of tensors to be added to `values`; `None` for a variable
            that stays where it is.
        """
        blocks = [
            ("rho", [i for i in range(num_shared) if selected[i]]),
            (
                "head_rho",
                [i for i in range(num_shared, len(values)) if selected[i]],
            ),
        ]
        if self.norm == "joint":
            blocks = [("rho", [i for _, block in blocks for i in block])]
        result: list[Tensor | None] = [None] * len(values)
        for argument, block in blocks:
            if not block:
                continue
            radius = self.radius(argument, iterations)
            if factor is not None:
                radius = ops.cast(factor, radius.dtype) * radius
            moved = scaled_to_radius(
                [values[i] for i in block],
                [gradients[i] for i in block],
                radius,
                self.adaptive,
            )
            for i, perturbation in zip(block, moved, strict=True):
                result[i] = perturbation
        return result

    def make_kind(self, parts: Parts) -> UpdateKind:
        """Returns how a step gets from losses to an update.

        Args:
            parts: The other parts of the strategy.
        """
        return Perturbed(self, parts, by_task=True)

    def gradients_near(
        self, near: Nearby, gradients: TaskGradients
    ) -> tuple[TaskGradients, Tensor]:
        """Returns task gradients and losses near the weights.

        Args:
            near: Makes passes there.
            gradients: The gradients at the weights.
        """
        return near.task_gradients(gradients)

    def is_due(self, iterations: Tensor) -> Tensor | None:
        """Returns a bool scalar: a step perturbs. `None` if each does.

        Args:
            iterations: Number of steps made so far.
        """
        if self.interval == 1:
            return None
        return ops.equal(iterations % self.interval, 0)

    @property
    def keeps_own(self) -> bool:
        """Whether there is state for the tasks' own variables."""
        return self.reuse

    def radius_factors(
        self, jacobian: Jacobian, mask: Tensor | None = None
    ) -> Tensor | None:
        """Returns a multiple of the radius for each task, or `None`.

        Args:
            jacobian: The tasks' gradients of the shared variables.
            mask: Optional tensor `[K]`, 1 for present tasks, 0 for absent.

        Returns:
            `None`, or a tensor `[K]` of mean 1 over the present tasks:
            `K ||g_k|| / (||g_1|| + ... + ||g_K||)`; ones if all are 0.
        """
        if self.scaling is None or not jacobian.num_variables:
            return None
        norms = ops.sqrt(jacobian.squared_norms())
        present = ops.ones_like(norms)
        if mask is not None:
            present = ops.cast(mask > 0, norms.dtype)
            norms = ops.where(mask > 0, norms, ops.zeros_like(norms))
        total = ops.sum(norms)
        safe_total = ops.where(total > 0, total, ops.ones_like(total))
        factors = ops.sum(present) * (norms / safe_total)
        # Where nothing is shared there are no shares.
        return ops.where(total > 0, factors, ops.ones_like(factors))

    def is_active(self, iterations: Tensor) -> Tensor:
        """Returns a bool tensor: does the perturbation have a radius?"""
        active = self.radius("rho", iterations) > 0
        if "head_rho" in self._radii:
            active = ops.logical_or(
                active, self.radius("head_rho", iterations) > 0
            )
        return active

    def get_config(self) -> dict[str, Any]:
        def plain(value: Any) -> Any:
            if isinstance(value, Schedule):
                return keras.optimizers.schedules.serialize(value)
            return value

        config = {
            **super().get_config(),
            "rho": plain(self.rho),
            "head_rho": plain(self.head_rho),
            "norm": self.norm,
            "adaptive": self.adaptive,
            "combine": self.combine,
            "interval": self.interval,
            "reuse": self.reuse,
            "scaling": self.scaling,
            "variables": self.perturbed_variables,
            "random_numbers": self.random_numbers,
        }
        for name in self.fixed_arguments:
            del config[name]
        return config
