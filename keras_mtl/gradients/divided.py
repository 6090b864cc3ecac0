"""Task gradients of which each replica has a part."""

from keras_mtl import backend
from keras_mtl.gradients.jacobian import Jacobian
from keras_mtl.typing import Tensor


class DividedJacobian(Jacobian):
    """K rows of whose entries each replica has some.

    So it is with gradients by features: each replica has those of its part of
    the batch. Whatever sums over the entries of rows (norms, inner products,
    the Gramian) sums over the replicas, too.
    """

    def _over_entries(self, sums: Tensor) -> Tensor:
        (sums,) = backend.sum_over_replicas([sums])
        return sums
