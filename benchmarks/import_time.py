"""Times what importing `keras_mtl` adds to importing Keras.

```shell
python benchmarks/import_time.py [--backend jax] [--quick]
```

Each import is made by a process of its own; the three kinds alternate.
"""

import subprocess
import sys
import time

import numpy as np
from steps import workers

#: Names of rows and what a process executes.
STATEMENTS = {
    "Python alone": "pass",
    "import keras": "import keras",
    "import keras_mtl": "import keras_mtl",
}


def parse():
    parser = workers.make_parser(__doc__, "one round")
    parser.add_argument("--rounds", type=int, default=7)
    return parser.parse_args()


def main():
    workers.start(parse(), work)


def work(arguments):
    """Prints the table of one backend."""
    import keras
    from steps import table

    rounds = 1 if arguments.quick else arguments.rounds
    for statement in STATEMENTS.values():
        seconds_of(statement)  # Files are read into the cache.
    times = {name: [] for name in STATEMENTS}
    for _ in range(rounds):
        for name, statement in STATEMENTS.items():
            times[name].append(seconds_of(statement))
    lines = [["process", "wall s, median", "least"]]
    lines += [
        [name, f"{np.median(values):.2f}", f"{min(values):.2f}"]
        for name, values in times.items()
    ]
    print(f"\n## {keras.backend.backend()}, {rounds} rounds\n")
    print(table.aligned(lines))
    added = np.subtract(times["import keras_mtl"], times["import keras"])
    print(f"\nkeras_mtl adds {1000 * np.median(added):.0f} ms", flush=True)


def seconds_of(statement):
    """Returns how long a new process takes for a statement."""
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", statement], check=True)
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
