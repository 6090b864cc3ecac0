"""Nash-MTL by CVXPY.

The weights solve a convex program, `min 1/2 ||J^T w||^2 - sum_k log w_k`.
Published code instead calls CVXPY for a sequence of programs.
"""

import cvxpy
import numpy as np


def _problem(factor, num_tasks):
    weights = cvxpy.Variable(num_tasks)
    objective = cvxpy.sum_squares(factor @ weights) / 2
    objective = objective - cvxpy.sum(cvxpy.log(weights))
    return cvxpy.Problem(cvxpy.Minimize(objective)), weights


def square_factor(rows):
    """Returns `R` `[K, K]` with `R^T R = J J^T`."""
    return np.linalg.qr(rows.astype("float64").T, mode="r")


def compiled_once(rows):
    """Returns a function that solves it, with `R` as CVXPY's parameter."""
    square = square_factor(rows)
    factor = cvxpy.Parameter(square.shape)
    problem, weights = _problem(factor, len(rows))

    def solve():
        factor.value = square
        problem.solve(solver="CLARABEL")
        return weights.value

    return solve


def written_down(rows):
    """Returns a function that states the problem anew and solves it."""
    square = square_factor(rows)

    def solve():
        problem, weights = _problem(square, len(rows))
        problem.solve(solver="CLARABEL")
        return weights.value

    return solve
