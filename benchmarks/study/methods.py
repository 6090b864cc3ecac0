"""The methods of the experiments."""

from collections.abc import Callable

from benchmarks.study.experiment import Method
from keras_mtl import Strategy
from keras_mtl import aggregators
from keras_mtl.balancers import Log
from keras_mtl.flatness import GlobalSAM
from keras_mtl.flatness import TaskSAM
from keras_mtl.strategies import DBMTL
from keras_mtl.strategies import FSMTL

#: The constant of DB-MTL's logarithm.
EPSILON = 1e-8

SINGLE = Method("single", "single-task", None)
EW = Method("ew", "EW", lambda rho: "ew")
EW_GLOBAL_SAM = Method(
    "ew_global_sam",
    "EW + GlobalSAM",
    lambda rho: Strategy(flatness=GlobalSAM(rho=rho)),
    flat=True,
    base="ew",
)
EW_TASK_SAM = Method(
    "ew_task_sam",
    "EW + TaskSAM",
    lambda rho: Strategy(flatness=TaskSAM(rho=rho)),
    flat=True,
    base="ew",
)
DB_MTL = Method("db_mtl", "DB-MTL", lambda rho: DBMTL(), base="ew")
DB_MTL_FS = Method(
    "fs_db_mtl",
    "DB-MTL + FS-MTL",
    lambda rho: FSMTL(aggregators.DBMTL(), rho=rho, balancer=Log(eps=EPSILON)),
    flat=True,
    base="db_mtl",
)
LOG_ONLY = Method(
    "log_only",
    "DB-MTL, log only",
    lambda rho: Strategy(balancer=Log(eps=EPSILON)),
    base="ew",
)
NORM_ONLY = Method(
    "norm_only",
    "DB-MTL, norm only",
    lambda rho: Strategy(aggregator=aggregators.DBMTL()),
    base="ew",
)


def named(name: str, title: str) -> Method:
    """Returns the method of a strategy's name, compared with EW."""
    return Method(name, title, lambda rho: name, base="ew")


def with_flat_variants(name: str, title: str) -> tuple[Method, ...]:
    """Returns an aggregator plain, with FS-MTL direct and with FS-MTL."""

    def flat(combine: str) -> Callable[[float | None], FSMTL]:
        return lambda rho: FSMTL(name, rho=rho, combine=combine)

    return (
        Method(name, title, lambda rho: name),
        Method(
            f"direct_{name}",
            f"{title} + FS-MTL, direct",
            flat("direct"),
            flat=True,
            base=name,
        ),
        Method(
            f"fs_{name}",
            f"{title} + FS-MTL",
            flat("decomposed"),
            flat=True,
            base=name,
        ),
    )


def equal_time(*paid_by: str) -> Method:
    """Returns EW for as long as one run of the named methods takes."""
    return Method(
        "ew_equal_time",
        "EW, equal time",
        lambda rho: "ew",
        base="ew",
        epochs_like=paid_by,
    )
