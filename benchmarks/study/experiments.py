"""The experiments, by letter."""

from benchmarks.study import domains
from benchmarks.study import methods
from benchmarks.study import overlaid
from benchmarks.study import rooms
from benchmarks.study.experiment import Experiment
from benchmarks.study.experiment import Settings

#: Two overlaid images: is FS-MTL better than what it builds on?
A = Experiment(
    name="A",
    datasets=overlaid.DATASETS,
    make_problem=overlaid.make_problem,
    methods=(
        methods.SINGLE,
        methods.EW,
        methods.EW_GLOBAL_SAM,
        *methods.with_flat_variants("mgda", "MGDA"),
        *methods.with_flat_variants("pcgrad", "PCGrad"),
        *methods.with_flat_variants("cagrad", "CAGrad"),
        *methods.with_flat_variants("imtl_g", "IMTL-G"),
        methods.DB_MTL,
        methods.DB_MTL_FS,
        methods.equal_time("fs_mgda", "fs_pcgrad", "fs_cagrad", "fs_imtl_g"),
    ),
    settings=Settings(
        seeds=5,
        epochs=20,
        num_train=4000,
        num_validation=2000,
        num_test=5000,
        batch_size=64,
        learning_rate=1e-3,
        rhos=(0.05, 0.1, 0.2, 0.4),
        probed=2,
    ),
)

#: Three dense tasks whose losses differ in size: what does DB-MTL balance?
B = Experiment(
    name="B",
    datasets=rooms.DATASETS,
    make_problem=rooms.make_problem,
    methods=(
        methods.SINGLE,
        methods.EW,
        methods.named("uw", "UW"),
        methods.named("dwa", "DWA"),
        methods.named("nash_mtl", "Nash-MTL"),
        methods.LOG_ONLY,
        methods.NORM_ONLY,
        methods.DB_MTL,
    ),
    settings=Settings(
        seeds=5,
        epochs=30,
        num_train=1000,
        num_validation=0,
        num_test=400,
        batch_size=16,
        learning_rate=1e-3,
    ),
)

#: Three domains, one with few labels: does it gain from flatness?
C = Experiment(
    name="C",
    datasets=domains.DATASETS,
    make_problem=domains.make_problem,
    methods=(
        methods.SINGLE,
        methods.EW,
        methods.EW_GLOBAL_SAM,
        methods.EW_TASK_SAM,
        methods.LOG_ONLY,
        methods.NORM_ONLY,
        methods.DB_MTL,
        methods.DB_MTL_FS,
    ),
    settings=Settings(
        seeds=5,
        epochs=25,
        num_train=1000,
        num_validation=500,
        num_test=2000,
        batch_size=32,
        learning_rate=1e-3,
        rhos=(0.05, 0.1, 0.2, 0.4),
    ),
)

EXPERIMENTS = {experiment.name: experiment for experiment in (A, B, C)}
