"""Prints every table of LABBOOK.md, one script after another.

```shell
python benchmarks/all_tables.py [--quick]
```

Takes hours on two cores, and nothing else should run on the machine.
"""

import argparse
import subprocess
import sys
from pathlib import Path

SCRIPTS = (
    "step_time.py",
    "peer_time.py",
    "growth.py",
    "first_step.py",
    "representation_time.py",
    "monitor_time.py",
    "memory.py",
    "solvers.py",
    "deviations.py",
    "state.py",
    "import_time.py",
    "data_loading.py",
)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data-dir", help="folder with MNIST, if it is here")
    parser.add_argument(
        "--quick", action="store_true", help="shortened, to see that all run"
    )
    arguments = parser.parse_args()
    for script in SCRIPTS:
        command = [sys.executable, str(Path(__file__).parent / script)]
        if arguments.quick:
            command.append("--quick")
        if script == "data_loading.py" and arguments.data_dir:
            command += ["--data-dir", arguments.data_dir]
        print(f"\n# {script}", flush=True)
        subprocess.run(command, check=True)


if __name__ == "__main__":
    main()
