"""The task gradients of a list of variables, as aggregators see them."""

from collections.abc import Iterable
from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from keras_mtl import backend
from keras_mtl.typing import Tensor


def wide_dtype(dtype: str) -> str:
    """Returns the wider of float32 and `dtype`."""
    dtype = keras.backend.standardize_dtype(dtype)
    return dtype if dtype == "float64" else "float32"


class Jacobian:
    """K task gradients with respect to a list of variables.

    The rows are kept as they come, either one tensor per task and variable
    or one `[K, *shape]` tensor per variable, and are never flattened into one
    `[K, P]` matrix: that copy costs more than the Gramian itself.

    Args:
        rows: List over tasks of lists over variables of gradients.
        stacks: List over variables of tensors `[K, *shape]`. Give either
            `rows` or `stacks`.
        num_tasks: Number of tasks K; needed only where there are no
            variables.
        dtype: Dtype of the Gramian where there are no variables. Defaults to
            `"float32"`.
    """

    def __init__(
        self,
        rows: Sequence[Sequence[Tensor]] | None = None,
        stacks: Sequence[Tensor] | None = None,
        num_tasks: int | None = None,
        dtype: str = "float32",
    ):
        if (rows is None) == (stacks is None):
            raise ValueError("Give either `rows` or `stacks`, not both.")
        self._rows: Any = None
        self._stacks: Any = None
        if rows is not None:
            self._rows = [list(row) for row in rows]
        if stacks is not None:
            self._stacks = list(stacks)
        self.num_tasks: Any = num_tasks
        if self._rows is not None:
            self.num_tasks = len(self._rows)
            first = self._rows[0] if self._rows else []
        else:
            first = self._stacks
            if first:
                self.num_tasks = int(first[0].shape[0])
        self.num_variables = len(first)
        self.dtype = wide_dtype(first[0].dtype if first else dtype)
        self._gramian = None
        #: The weights of the last `combine`.
        self.row_weights: Tensor | None = None
        # Whether nothing else holds the stacks.
        self._is_disposable = False

    @classmethod
    def gather(
        cls,
        rows: Iterable[Sequence[Tensor]],
        num_tasks: int,
        dtype: str,
        stacked: bool = False,
    ) -> "Jacobian":
        """Makes a Jacobian of rows that come one after the other.

        Args:
            rows: Iterable over tasks of lists over variables of gradients.
            num_tasks: Number of tasks K.
            dtype: As in the constructor.
            stacked: Whether the stacks will be asked for. Defaults to `False`.
        """
        stacked = stacked and backend.STACKS_ROWS
        if num_tasks < backend.STACK_FROM and not stacked:
            return cls(rows=list(rows), num_tasks=num_tasks, dtype=dtype)
        listed, stacks = backend.gather_rows(rows, num_tasks)
        jacobian = cls(
            rows=listed, stacks=stacks, num_tasks=num_tasks, dtype=dtype
        )
        jacobian._is_disposable = stacks is not None
        return jacobian

    @property
    def shapes(self) -> list[tuple[int, ...]]:
        """Shapes `[K, *shape]`, one per variable."""
        if self._stacks is not None:
            return [tuple(stack.shape) for stack in self._stacks]
        return [
            (self.num_tasks, *tuple(gradient.shape))
            for gradient in self._rows[0]
        ]

    @property
    def rows(self) -> list[list[Tensor]]:
        """Gradients by task, then by variable."""
        if self._rows is None:
            self._rows = [
                [stack[k] for stack in self._stacks]
                for k in range(self.num_tasks)
            ]
        return self._rows

    @property
    def stacks(self) -> list[Tensor]:
        """One tensor `[K, *shape]` per variable."""
        if self._stacks is None:
            self._stacks = [
                backend.stack_rows(gradients)
                for gradients in zip(*self._rows, strict=True)
            ]
        return self._stacks

    def take_stacks(self) -> tuple[list[Tensor], bool]:
        """Returns the stacks, and whether their memory may be reused.

        If so, they are gone from here: whoever asks for them again must fail.
        """
        stacks = self.stacks
        if self._is_disposable:
            self._stacks = self._rows = None
        return stacks, self._is_disposable

    def gramian(self) -> Tensor:
        """Returns the K x K matrix of inner products, summed over variables.

        In the wider of float32 and the gradients' dtype. Computed once.
        """
        if self._gramian is None:
            with backend.full_precision():
                gramian = self._compute_gramian()
            self._gramian = self._over_entries(gramian)
        return self._gramian

    def _over_entries(self, sums: Tensor) -> Tensor:
        """Returns sums over all entries of the rows, from those over these."""
        return sums

    def squared_norms(self) -> Tensor:
        """Returns the squared norm of each row `[K]`, without the Gramian."""
        if self._gramian is not None:
            return ops.diagonal(self._gramian)
        if not self.num_variables:
            return ops.zeros((self.num_tasks,), dtype=self.dtype)
        return self._over_entries(self._squared_norms())

    def _squared_norms(self) -> Tensor:
        if self._stacks is not None and not backend.STACKS_ROWS:
            # A compiler that fuses would make each stack again for each row.
            return sum(
                ops.sum(
                    ops.square(ops.cast(stack, self.dtype)),
                    axis=tuple(range(1, len(stack.shape))),
                )
                for stack in self._stacks
            )
        return ops.stack(
            [
                backend.squared_norm([ops.cast(g, self.dtype) for g in row])
                for row in self.rows
            ]
        )

    @property
    def known_gramian(self) -> Tensor | None:
        """The Gramian if somebody asked for it already, else `None`."""
        return self._gramian

    def _compute_gramian(self) -> Tensor:
        num_tasks = self.num_tasks
        if not self.num_variables:
            return ops.zeros((num_tasks, num_tasks), dtype=self.dtype)
        if self._stacks is None and num_tasks < backend.STACK_FROM:
            return self._gramian_of_pairs()
        if self._stacks is None and not backend.STACKS_ROWS:
            return self._gramian_of_rows()
        return sum(
            backend.gramian(*self._matrices(stack)) for stack in self.stacks
        )

    def _gramian_of_rows(self) -> Tensor:
        return sum(
            backend.inner_products(
                [
                    ops.cast(vector, self.dtype)
                    for vector in backend.as_vectors(gradients)
                ]
            )
            for gradients in zip(*self._rows, strict=True)
        )

    def _gramian_of_pairs(self) -> Tensor:
        by_variable = [
            [
                ops.cast(vector, self.dtype)[None]
                for vector in backend.as_vectors(gradients)
            ]
            for gradients in zip(*self.rows, strict=True)
        ]
        vectors = list(zip(*by_variable, strict=True))
        products: dict[tuple[int, int], Tensor] = {}
        for i, left in enumerate(vectors):
            for j, right in enumerate(vectors[: i + 1]):
                product = sum(
                    a @ ops.transpose(b)
                    for a, b in zip(left, right, strict=True)
                )
                products[i, j] = products[j, i] = product[0, 0]
        return ops.stack(
            [
                ops.stack([products[i, j] for j in range(self.num_tasks)])
                for i in range(self.num_tasks)
            ]
        )

    def cross_gramian(self, other: "Jacobian") -> Tensor:
        """Returns the K x K inner products with the rows of another Jacobian.

        Row `i`, column `j` is that of row `i` of this one with row `j` of the
        other, summed over variables, in the dtype of `gramian`.
        """
        if not self.num_variables:
            return ops.zeros((self.num_tasks, self.num_tasks), dtype=self.dtype)
        product = None
        for left, right in zip(self.stacks, other.stacks, strict=True):
            left, right = self._matrices(left, right)
            # The operator: `ops.matmul` computes float64 in float32 on torch.
            part = left @ ops.transpose(right)
            product = part if product is None else product + part
        return self._over_entries(product)

    def row_products(self, other: "Jacobian") -> Tensor:
        """Returns the inner product of each row with that of another `[K]`."""
        if not self.num_variables:
            return ops.zeros((self.num_tasks,), dtype=self.dtype)
        return self._over_entries(self._row_products(other))

    def _row_products(self, other: "Jacobian") -> Tensor:
        if not backend.STACKS_ROWS:
            # Stacks would be written down for nothing else.
            return ops.stack(
                [
                    sum(
                        ops.sum(
                            ops.cast(a, self.dtype) * ops.cast(b, self.dtype)
                        )
                        for a, b in zip(left, right, strict=True)
                    )
                    for left, right in zip(self.rows, other.rows, strict=True)
                ]
            )
        return sum(
            backend.row_products(*self._matrices(left, right))
            for left, right in zip(self.stacks, other.stacks, strict=True)
        )

    def _matrices(self, *stacks: Tensor) -> list[Tensor]:
        """Stacks of one shape as `[K, P]`, for inner products."""
        return [
            ops.cast(matrix, self.dtype)
            for matrix in backend.as_matrices(stacks)
        ]

    def combine(self, weights: Tensor) -> list[Tensor]:
        """Returns the weighted sum of the rows, one tensor per variable."""
        self.row_weights = weights
        return self.combine_each([weights] * self.num_variables)

    def combine_each(self, weights: Sequence[Tensor]) -> list[Tensor]:
        """Returns a weighted sum of the rows for each variable.

        Args:
            weights: Tensors `[K]`, one per variable.
        """
        if self._stacks is not None:
            return [
                backend.combine_rows(ops.cast(w, stack.dtype), stack)
                for w, stack in zip(weights, self._stacks, strict=True)
            ]
        combined = []
        for w, gradients in zip(
            weights, zip(*self.rows, strict=True), strict=True
        ):
            scalars = ops.cast(w, gradients[0].dtype)
            combined.append(
                backend.weighted_sum(
                    [scalars[k] for k in range(self.num_tasks)], gradients
                )
            )
        return combined

    def switched(self, switches: Sequence[Tensor]) -> "Jacobian":
        """Returns the Jacobian with zeros for some of the variables.

        Args:
            switches: One bool scalar per variable: it keeps its gradients.
        """

        def switch(flag: Tensor, gradient: Tensor) -> Tensor:
            return ops.where(flag, gradient, ops.zeros_like(gradient))

        if self._stacks is not None:
            stacks = [
                switch(flag, stack)
                for flag, stack in zip(switches, self._stacks, strict=True)
            ]
            return self._like(stacks=stacks)
        return self._like(
            rows=[
                [switch(f, g) for f, g in zip(switches, row, strict=True)]
                for row in self._rows
            ]
        )

    def _like(self, **parts: Any) -> "Jacobian":
        """A Jacobian of the same kind and tasks, of other gradients."""
        return type(self)(num_tasks=self.num_tasks, dtype=self.dtype, **parts)

    def scaled(self, factors: Tensor) -> "Jacobian":
        """Returns the Jacobian with its rows times one factor `[K]` each."""
        stacks = [
            stack
            * ops.reshape(
                ops.cast(factors, stack.dtype),
                (self.num_tasks, *[1] * (len(stack.shape) - 1)),
            )
            for stack in self.stacks
        ]
        return self._like(stacks=stacks)

    def of_variables(self, indices: Sequence[int]) -> "Jacobian":
        """Returns the Jacobian of some of the variables."""
        if self._stacks is not None:
            return self._like(stacks=[self._stacks[i] for i in indices])
        return self._like(
            rows=[[row[i] for i in indices] for row in self._rows]
        )

    def minus(self, other: "Jacobian") -> "Jacobian":
        """Returns the row-wise difference of two Jacobians.

        This one must not be used any more: its memory may serve the result.
        """
        if not self._is_disposable or other._stacks is None:
            return self - other
        difference = self._like(
            stacks=[
                backend.subtract(a, b)
                for a, b in zip(self._stacks, other._stacks, strict=True)
            ]
        )
        difference._is_disposable = True
        return difference

    def __sub__(self, other: "Jacobian") -> "Jacobian":
        """Returns the row-wise difference of two Jacobians."""
        if self._stacks is not None and other._stacks is not None:
            return self._like(
                stacks=[
                    a - b
                    for a, b in zip(self._stacks, other._stacks, strict=True)
                ]
            )
        return self._like(
            rows=[
                [a - b for a, b in zip(left, right, strict=True)]
                for left, right in zip(self.rows, other.rows, strict=True)
            ]
        )
