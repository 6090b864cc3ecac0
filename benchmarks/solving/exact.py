"""Solutions in float64 by general-purpose code: quadprog, SciPy, LAPACK.

Every function takes rows `[K, P]` and returns weights `[K]` of them. Nothing
here is shared with the library; that is the point.
"""

import numpy as np
import quadprog
from scipy import optimize

TINY = np.finfo(np.float64).tiny


def factor(gramian):
    """Returns rows whose Gramian is the given one, and if that is definite.

    Rounding can make a nearly singular Gramian indefinite; the negative
    eigenvalues count as zero then.
    """
    values, vectors = np.linalg.eigh(np.asarray(gramian, np.float64))
    rows = vectors * np.sqrt(np.maximum(values, 0.0))
    return rows, bool(values[0] > 0)


def coordinates(rows):
    """Returns the rows in an orthonormal basis of their span."""
    return np.linalg.qr(rows.T, mode="r").T


def shortest(rows, levels):
    """Solves `min ||u||` with `rows @ u >= levels`.

    Returns:
        The solution, and the `v >= 0` for which it is `rows.T @ v`.
    """
    size = rows.shape[1]
    found = quadprog.solve_qp(np.eye(size), np.zeros(size), rows.T, levels)
    return found[0], found[4]


def farthest(rows, heights, radius, highest=None):
    """Solves `max_u min_k heights_k + <rows_k, u>` with `||u|| <= radius`.

    By a search for the level that the shortest `u` for it just reaches.
    """
    low = heights.min()

    def excess(level):
        return np.linalg.norm(shortest(rows, level - heights)[0]) - radius

    step = radius * np.linalg.norm(rows, axis=1).max()
    high = low + step
    if highest is None:
        while excess(high) < 0:
            high += step
    else:
        gap = highest - low
        while high >= highest or excess(high) < 0:
            gap = gap / 2
            high = highest - gap
    level = optimize.brentq(excess, low, high, xtol=TINY, rtol=1e-15)
    return shortest(rows, level - heights)[1]


def mgda(rows):
    rows = coordinates(rows)
    values = shortest(rows, np.ones(len(rows)))[1]
    return values / values.sum()


def dual_proj(rows, combination=None):
    num_tasks = len(rows)
    if combination is None:
        combination = np.full(num_tasks, 1 / num_tasks)
    rows = coordinates(rows)
    # Of u - g, in the place of u.
    return combination + shortest(rows, -rows @ (combination @ rows))[1]


def upgrad(rows):
    units = np.eye(len(rows))
    return np.mean([dual_proj(rows, unit) for unit in units], axis=0)


def cagrad(rows, c=0.4):
    num_tasks = len(rows)
    rows = coordinates(rows)
    mean = rows.mean(axis=0)
    values = farthest(rows, rows @ mean, c * np.linalg.norm(mean))
    return 1 / num_tasks + values


def conicgrad(rows, c=0.5):
    num_tasks = len(rows)
    rows = coordinates(rows)
    mean = rows.mean(axis=0)
    length = np.linalg.norm(mean)
    nearest = mgda(rows)
    point = nearest @ rows
    if mean @ point >= c * length * np.linalg.norm(point):
        return nearest * length / np.linalg.norm(point)
    along = rows @ mean / length
    across = rows - along[:, None] * mean / length
    radius = np.sqrt(1 - c**2)
    values = farthest(across, c * along, radius, c * along.mean())
    return (c - values @ along) / num_tasks + length * values


def fair(rows, alpha):
    """By a trust-region method in the logarithms, and then MINPACK."""
    norms = np.linalg.norm(rows, axis=1)
    units = coordinates(rows / norms[:, None])
    cosines = units @ units.T
    factors = norms ** (1 / alpha - 1)
    power = 1 - 1 / alpha

    def value(x):
        utility = x if alpha == 1 else np.exp(power * x) / power
        return 0.5 * np.sum((np.exp(x) @ units) ** 2) - factors @ utility

    def gradient(x):
        scaled = np.exp(x)
        return scaled * (cosines @ scaled) - factors * np.exp(power * x)

    def hessian(x):
        scaled = np.exp(x)
        diagonal = scaled * (cosines @ scaled)
        diagonal = diagonal - power * factors * np.exp(power * x)
        return cosines * np.outer(scaled, scaled) + np.diag(diagonal)

    start = np.zeros(len(rows))
    start = optimize.minimize(
        value, start, jac=gradient, hess=hessian, method="trust-exact"
    ).x
    found = optimize.root(gradient, start, jac=hessian, tol=1e-15).x
    residual = np.abs(gradient(found)) / (factors * np.exp(power * found))
    if residual.max() > 1e-9:
        raise ArithmeticError(f"No solution: residual {residual.max():.1e}.")
    return np.exp(found) / norms


def nash_mtl(rows):
    return fair(rows, 1.0)


def fairgrad(rows):
    return fair(rows, 2.0)


def _equal_projections(rows):
    """Returns `v` with `<v, u_k> = 1` as weights of the rows, and norms."""
    norms = np.linalg.norm(rows, axis=1)
    triangle = np.linalg.qr((rows / norms[:, None]).T, mode="r")
    solved = np.linalg.solve(triangle.T, np.ones(len(rows)))
    return np.linalg.solve(triangle, solved), norms


def imtl_g(rows):
    solved, norms = _equal_projections(rows)
    weights = solved / norms
    return weights / weights.sum()


def config(rows):
    solved, norms = _equal_projections(rows)
    # The squared length of v is the sum of its weights.
    return norms.sum() / solved.sum() * solved / norms


def aligned_mtl(rows):
    left, values, _ = np.linalg.svd(rows, full_matrices=False)
    shares = left.T @ np.full(len(rows), 1 / len(rows))
    return left @ (values.min() / values * shares)


def pcgrad(rows, orders):
    weights = np.zeros(len(rows))
    for i, order in enumerate(orders):
        coefficients = np.eye(len(rows))[i]
        for j in order:
            inner = coefficients @ rows @ rows[j]
            if j != i and inner < 0:
                coefficients[j] -= inner / (rows[j] @ rows[j])
        weights += coefficients
    return weights


def _worst_gain(rows, weights):
    return (rows @ (weights @ rows)).min()


def _distance(rows, weights):
    return np.sum(((weights - 1 / len(rows)) @ rows) ** 2)


def _agreement(rows, weights):
    return 0.5 * np.sum((weights @ rows) ** 2) - np.log(weights).sum()


def _fairness(rows, weights):
    return 0.5 * np.sum((weights @ rows) ** 2) - 2 * np.sqrt(weights).sum()


#: What a method minimises or maximises, as far as weights alone tell.
OBJECTIVES = {
    "MGDA": lambda rows, weights: np.sum((weights @ rows) ** 2),
    "CAGrad": _worst_gain,
    "ConicGrad": _worst_gain,
    "DualProj": _distance,
    "NashMTL": _agreement,
    "FairGrad": _fairness,
}
