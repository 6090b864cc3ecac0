"""Aggregators without a state, on the matrices of `tests/data`.

Every entry is `(method, file, variant, make, options)`. `make(K)` returns the
aggregator with the settings of the variant; `options` are

- `skip`: regimes where the published code stops early or has no answer;
- `where(rows, get)`: whether the published value is an answer at all;
- `times(K)`: factor of the published value;
- `scale(rows, losses)`: what deviations are divided by, where the update may
  cancel. By default it is the norm of the published update.
"""

import numpy as np

from keras_mtl import aggregators
from keras_mtl.aggregators.grad_drop import keep_one_sign
from keras_mtl.aggregators.pcgrad import projection_weights
from keras_mtl.aggregators.random import softmax_weights
from keras_mtl.solvers.namespace import run
from tests.backend_tools import numpy
from tests.backend_tools import tensor
from tests.golden_data import cases
from tests.golden_data import load

#: Published iterative solvers return their starting value, or stop early.
STOPPED_EARLY = (
    "all_equal",
    "huge_task",
    "large_scale",
    "opposed",
    "tiny_scale",
    "zero_row",
)
#: The closed form of IMTL-G needs independent rows.
DEPENDENT = ("zero_row", "low_rank", "all_equal", "opposed")
CAGRAD = ("huge_task", "tiny_scale", "zero_row", "opposed", "large_scale")


def ranks(num_tasks):
    values = np.arange(1.0, num_tasks + 1)
    return list(values / values.sum())


def largest_norm(rows, losses):
    return np.linalg.norm(rows, axis=1).max()


def arrived(power):
    """Whether a solver's weights satisfy the equations, up to a factor."""

    def where(rows, get):
        weights = get("weights")
        if not np.isfinite(weights).all() or weights.min() <= 0:
            return False
        gains = (rows @ rows.T @ weights) * weights**power
        return gains.min() > 0 and gains.max() / gains.min() - 1 < 1e-5

    return where


def independent(rows, get):
    return len(rows) <= rows.shape[1]


def without_tie(num_byzantine, num_selected):
    """Whether Krum's choice is no matter of definition."""

    def where(rows, get):
        if len(rows) < num_byzantine + 3:
            return False
        distances = np.linalg.norm(rows[:, None] - rows[None, :], axis=-1)
        distances = np.sort(distances, axis=1)[:, 1:]
        near = len(rows) - num_byzantine - 2
        scores = np.sort(distances[:, :near].sum(axis=1))
        gap = scores[num_selected] - scores[num_selected - 1]
        return gap > 1e-3 * scores[-1]

    return where


def scaled_norm(normalization):
    def scale(rows, losses):
        scales = np.ones(len(rows))
        if normalization != "l2":
            scales = scales / losses
        if normalization != "loss":
            scales = scales / np.linalg.norm(rows, axis=1)
        return largest_norm(rows * scales[:, None], losses)

    return scale


def entries():
    """Yields the table."""
    by_rows = {"scale": largest_norm}
    for name in ("Mean", "Sum"):
        make = getattr(aggregators, name)
        yield name, "linear", f"torchjd.{name}", lambda k, m=make: m(), by_rows
    yield (
        *("Constant", "linear", "torchjd.Constant"),
        lambda k: aggregators.Constant(ranks(k)),
        by_rows,
    )

    for variant in ("exact", "torchjd.MGDA", "torchjd.MGDA.tight"):
        yield "MGDA", "mgda", variant, lambda k: aggregators.MGDA(), by_rows
    skip = ("tiny_scale", "low_rank", "conflicting", "all_equal")
    for variant in ("LibMTL.MGDA.none", "fsmtl.MGDA.multi_mnist"):
        options = {"scale": largest_norm, "skip": skip}
        yield "MGDA", "mgda", variant, lambda k: aggregators.MGDA(), options
    options = {"scale": largest_norm, "skip": skip, "times": lambda k: 1 / k}
    yield (
        *("MGDA", "mgda", "nashmtl.MGDA"),
        lambda k: aggregators.MGDA(),
        options,
    )
    for kind in ("l2", "loss", "loss+"):
        yield (
            *("MGDA", "mgda", f"LibMTL.MGDA.{kind}"),
            lambda k, kind=kind: aggregators.MGDA(kind),
            {"scale": scaled_norm(kind), "skip": skip},
        )

    for variant, c, rescale, options in (
        ("exact.c0.4", 0.4, 0, {}),
        ("exact.c0.5", 0.5, 0, {}),
        ("torchjd.CAGrad.c0.4", 0.4, 0, {"skip": CAGRAD}),
        ("torchjd.CAGrad.c0.5", 0.5, 0, {"skip": CAGRAD}),
        ("LibMTL.CAGrad.c0.4.rescale0", 0.4, 0, {"skip": CAGRAD}),
        ("LibMTL.CAGrad.c0.4.rescale1", 0.4, 1, {"skip": CAGRAD}),
        ("LibMTL.CAGrad.c0.4.rescale2", 0.4, 2, {"skip": CAGRAD}),
        ("LibMTL.CAGrad.c0.5.rescale1", 0.5, 1, {"skip": CAGRAD}),
        ("fsmtl.CAGrad.c0.4", 0.4, 1, {"skip": CAGRAD}),
        *(
            (
                *(f"nashmtl.CAGrad.c{c}", c, 1),
                {"skip": CAGRAD, "times": lambda k: 1 / k},
            )
            for c in (0.4, 0.5)
        ),
    ):
        yield (
            *("CAGrad", "cagrad", variant),
            lambda k, c=c, rescale=rescale: aggregators.CAGrad(c, rescale),
            options,
        )

    for name in ("UPGrad", "DualProj"):
        for suffix, epsilons in (
            ("", (1e-4, 1e-4)),
            (".eps0", (0.0, 1e-7)),
            (".pref", (1e-4, 1e-4)),
        ):

            def make(k, name=name, suffix=suffix, epsilons=epsilons):
                preference = ranks(k) if suffix == ".pref" else None
                return getattr(aggregators, name)(preference, *epsilons)

            variant = f"torchjd.{name}{suffix}"
            yield name, name.lower(), variant, make, by_rows

    yield (
        *("NashMTL", "nashmtl", "exact.G"),
        lambda k: aggregators.NashMTL(max_norm=0),
        {},
    )
    options = {"skip": STOPPED_EARLY, "where": arrived(1.0)}
    for source in ("LibMTL.Nash_MTL", "nashmtl.NashMTL", "torchjd.NashMTL"):
        for max_norm in (0, 1):
            yield (
                *("NashMTL", "nashmtl", f"{source}.max_norm{max_norm}"),
                lambda k, m=max_norm: aggregators.NashMTL(m),
                options,
            )
    for variant, alpha in (
        ("exact.alpha1", 1.0),
        ("exact.alpha2", 2.0),
        ("torchjd.FairGrad.alpha1", 1.0),
        ("torchjd.FairGrad.alpha2", 2.0),
        ("LibMTL.FairGrad.alpha1", 1.0),
    ):
        options = {"skip": STOPPED_EARLY, "where": arrived(1 / alpha)}
        yield (
            *("FairGrad", "fairgrad", variant),
            lambda k, alpha=alpha: aggregators.FairGrad(alpha),
            {} if variant.startswith("exact") else options,
        )

    for source in ("torchjd.IMTLG", "LibMTL.IMTL", "nashmtl.IMTLG"):
        options = {"skip": DEPENDENT, "where": independent}
        yield (
            *("IMTLG", "imtlg", source),
            lambda k: aggregators.IMTLG(),
            {} if source.startswith("torchjd") else options,
        )
    yield (
        *("IMTLG", "imtlg", "fsmtl.IMTL"),
        lambda k: aggregators.IMTLG(),
        {"skip": DEPENDENT, "where": independent},
    )
    for suffix in ("", ".pref"):

        def preference(k, suffix=suffix):
            return ranks(k) if suffix else None

        for mode in ("min", "median", "rmse"):
            yield (
                *("AlignedMTL", "alignedmtl"),
                f"torchjd.AlignedMTL.{mode}{suffix}",
                lambda k, mode=mode, preference=preference: (
                    aggregators.AlignedMTL(mode, preference(k))
                ),
                by_rows,
            )
        yield (
            *("ConFIG", "config", f"torchjd.ConFIG{suffix}"),
            lambda k, preference=preference: aggregators.ConFIG(preference(k)),
            {},
        )
    for bad, selected in ((0, 1), (1, 1), (1, 2)):
        yield (
            *("Krum", "krum", f"torchjd.Krum.b{bad}.s{selected}"),
            lambda k, b=bad, s=selected: aggregators.Krum(b, s),
            {"where": without_tie(bad, selected), **by_rows},
        )
    for tau in (0.02, 0.5):
        yield (
            *("PCD", "pcd", f"torchjd.PCD.tau{tau}"),
            lambda k, tau=tau: aggregators.PCD(tau=tau),
            {"scale": lambda rows, losses: np.linalg.norm(rows[0])},
        )
    for trimmed in (1, 2):
        yield (
            *("TrimmedMean", "trimmedmean", f"torchjd.TrimmedMean.t{trimmed}"),
            lambda k, t=trimmed: aggregators.TrimmedMean(t),
            {
                "where": lambda rows, get, t=trimmed: len(rows) > 2 * t,
                **by_rows,
            },
        )


def compare(file, variant, make, skip=(), where=None, times=None, scale=None):
    """Yields `(actual, expected, scale)` for the cases of one entry."""
    for _, rows, losses, get, _ in cases(file, variant, skip):
        if where is not None and not where(rows, get):
            continue
        expected = get("vector")
        if times is not None:
            expected = expected * times(len(rows))
        size = np.linalg.norm(expected)
        if scale is not None:
            size = scale(rows, losses)
        update = make(len(rows))(tensor(rows), losses=tensor(losses))
        yield numpy(update), expected, size


def stored(file, variant):
    """Returns how many cases of a variant there are."""
    values = load(file)
    return sum(
        len(values[key])
        for key in values
        if key.startswith(f"{variant}/k") and key.endswith("/vector")
    )


def drawn():
    """Yields `(method, file, variant, compare)` for random methods.

    Their draws are part of the archives.
    """
    for source in ("torchjd", "LibMTL", "nashmtl", "fsmtl"):

        def pcgrad(file, variant, source=source):
            # LibMTL adds 1e-8 to the denominators.
            skip = ("tiny_scale", "low_rank") if source == "LibMTL" else ()
            for _, rows, losses, get, _ in cases(file, variant, skip):
                weights = projection_weights(
                    tensor(rows @ rows.T),
                    tensor(get("orders").astype("int32")),
                    visit_self=source != "torchjd",
                )
                scale = largest_norm(rows, losses)
                yield numpy(weights) @ rows, get("vector"), scale

        yield "PCGrad", "pcgrad", f"{source}.PCGrad", pcgrad

    def random(file, variant):
        for _, rows, losses, get, _ in cases(file, variant):
            ones = tensor(np.ones(len(rows)))
            weights = run(softmax_weights, tensor(get("normal")), ones)
            scale = largest_norm(rows, losses)
            yield numpy(weights) @ rows, get("vector"), scale

    yield "Random", "random", "torchjd.Random", random

    def grad_drop(file, variant):
        for _, rows, _, get, _ in cases(file, variant):
            # A draw at the threshold itself: rounding decides.
            sure = np.abs(get("prob") - get("uniform")) >= 1e-6
            update = keep_one_sign(
                tensor(rows),
                tensor(get("uniform")),
                tensor(get("leak")),
                tensor(np.ones(len(rows))),
            )
            yield (
                np.where(sure, numpy(update), 0),
                np.where(sure, get("vector"), 0),
                np.abs(rows).sum(),
            )

    for suffix in ("", ".leak"):
        yield "GradDrop", "graddrop", f"torchjd.GradDrop{suffix}", grad_drop
