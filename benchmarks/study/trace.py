"""Trains once and shows what the tasks did, epoch by epoch."""

from benchmarks.study import tables
from benchmarks.study.experiment import Experiment
from benchmarks.study.problem import Problem
from benchmarks.study.training import new_model
from keras_mtl.callbacks import TaskMonitor

#: What `TaskMonitor` logs of each task, and its column.
COLUMNS = (
    ("{}_loss", "loss"),
    ("{}_weight", "weight"),
    ("{}_gradient_norm", "norm"),
)


def trace(
    experiment: Experiment,
    problem: Problem,
    name: str,
    rho: float | None,
    seed: int,
) -> str:
    """Returns a table of losses, weights and norms of gradients by epoch.

    There are no norms where the method takes no gradient of each task.

    The batches are those of the runs, and so are the numbers, as far as the
    monitor's own arithmetic leaves the framework's rounding alone.

    Args:
        experiment: Has the settings and the methods.
        problem: Its problem, with the data of the seed.
        name: Name of a method that trains all tasks.
        rho: Its radius, `None` for methods that have none.
        seed: Seed of the first weights and the order of the batches.
    """
    settings = experiment.settings
    tasks = list(problem.losses)
    strategy = experiment.method(name).strategy(rho)
    model = new_model(problem, strategy, seed, settings, tasks)
    history = model.fit(
        **problem.batches(settings.batch_size, seed),
        epochs=settings.epochs,
        verbose=0,
        callbacks=[TaskMonitor()],
    ).history
    logged = [
        (f"{task} {title}", history[log.format(task)])
        for log, title in COLUMNS
        for task in tasks
        if log.format(task) in history
    ]
    rows = [
        [str(epoch + 1), *(f"{values[epoch]:.2g}" for _, values in logged)]
        for epoch in range(settings.epochs)
    ]
    return tables.markdown(["epoch", *(head for head, _ in logged)], rows)
