"""Times the first step, which traces and compiles, by strategy.

```shell
python benchmarks/first_step.py [--backend jax] [--quick]
```

See `benchmarks/README.md` for what is compared with what.
"""

import contextlib
import statistics
import time

from steps import workers

#: What JAX reports for each program that XLA has compiled.
COMPILE_EVENT = "/jax/core/compile/backend_compile_duration"

COLUMNS = ("first step", "s", "XLA s", "ratio")


def parse():
    quick = "one round of two rows with two tasks"
    parser = workers.make_parser(__doc__, quick)
    parser.add_argument(
        "--tasks",
        type=int,
        nargs="+",
        default=[2, 4, 8, 16, 40],
        metavar="K",
        help="numbers of tasks",
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument(
        "--check",
        nargs="+",
        choices=("first", "never"),
        default=["first"],
        help="the model's `compile(check=...)`, a row each",
    )
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.tasks, arguments.rounds = arguments.tasks[:1], 1
    return arguments


def main():
    workers.start(parse(), work)


def work(arguments):
    """Prints the tables of one backend, the one that Keras runs on."""
    from steps import variants

    print(f"\n## {variants.floor_module().describe()}", flush=True)
    # What a process does once is no part of any row.
    timed(makers(2)[variants.PLAIN])
    for count in arguments.tasks:
        rows = makers(count, arguments.check)
        if arguments.quick:
            rows = {name: rows[name] for name in (variants.PLAIN, "MGDA")}
        print_table(count, rows, arguments.rounds)


def print_table(count, rows, rounds):
    """Times the rows in alternation and prints their medians."""
    from steps import table
    from steps import variants

    times = {name: [] for name in rows}
    for _ in range(rounds):
        for name, make_step in rows.items():
            times[name].append(timed(make_step))
    lines = [list(COLUMNS)]
    for name, of_row in times.items():
        ratios = [
            mine[0] / plain[0]
            for mine, plain in zip(of_row, times[variants.PLAIN], strict=True)
        ]
        whole, compiled = (
            statistics.median(column) for column in zip(*of_row, strict=True)
        )
        lines.append(
            [
                name,
                f"{whole:.2f}",
                f"{compiled:.2f}" if compiled else "",
                f"{statistics.median(ratios):.1f}",
            ]
        )
    print(f"\n### {count} tasks, {rounds} rounds\n")
    print(table.aligned(lines), flush=True)


def makers(count, checks=("first",)):
    """What makes the first steps, by name."""
    from steps import networks
    from steps import variants

    @networks.fresh
    def problem():
        return networks.mlp().with_tasks(count)

    floor = variants.floor_module()

    def fit(model, data):
        model.fit(data.x, data.y, batch_size=len(data.x), verbose=0)

    def plain():
        data = problem()
        fit(variants.plain_model(data), data)

    def strategy(identifier, check):
        def train():
            data = problem()
            fit(variants.strategy_model(data, identifier, check), data)

        return train

    return {
        variants.PLAIN: plain,
        variants.GRADIENT_FLOOR: lambda: floor.gradient_step(problem())(),
        variants.FLAT_FLOOR: lambda: floor.flat_step(problem(), variants.RHO)(),
        **{
            name if check == "first" else f"{name}, no check": strategy(
                identifier, check
            )
            for name, identifier, _ in variants.STRATEGIES
            for check in checks
        },
    }


def timed(make_step):
    """Seconds that a first step takes, and those of XLA's compiler."""
    with compiling() as durations:
        start = time.perf_counter()
        make_step()
        return time.perf_counter() - start, sum(durations)


@contextlib.contextmanager
def compiling():
    """Yields a list of what XLA takes for each program, on JAX."""
    import keras

    durations = []
    if keras.backend.backend() != "jax":
        yield durations
        return
    import jax

    def note(event, duration, **_):
        if event == COMPILE_EVENT:
            durations.append(duration)

    jax.monitoring.register_event_duration_secs_listener(note)
    try:
        yield durations
    finally:
        jax.monitoring.unregister_event_duration_listener(note)


if __name__ == "__main__":
    main()
