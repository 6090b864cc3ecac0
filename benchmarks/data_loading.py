"""Times how fast images of Multi-MNIST are made, and read.

```shell
python benchmarks/data_loading.py [--data-dir FOLDER] [--quick]
```

See `benchmarks/README.md` for what is measured.
"""

import argparse
import gzip
import platform
import statistics
import struct
import tempfile
import time
from pathlib import Path

import numpy as np

from keras_mtl.datasets import load

BATCH_SIZE = 256


def parse():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument(
        "--data-dir",
        help="folder with a folder mnist of IDX files; without it, images of "
        "noise stand in for the digits",
    )
    parser.add_argument(
        "--images", type=int, default=20_000, help="how many are made"
    )
    parser.add_argument(
        "--rounds", type=int, default=5, help="times of which the median is"
    )
    parser.add_argument(
        "--quick",
        action="store_true",
        help="few images, one round: to see that it runs",
    )
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.images, arguments.rounds = 600, 1
    return arguments


def write_noise(folder):
    """Files like those of MNIST, with a tenth of the images."""
    generator = np.random.default_rng(0)
    (folder / "mnist").mkdir()
    for prefix, number in (("train", 6000), ("t10k", 1000)):
        images = generator.integers(0, 256, (number, 28, 28), dtype="uint8")
        labels = generator.integers(0, 10, number, dtype="uint8")
        for name, array in (("images-idx3", images), ("labels-idx1", labels)):
            header = struct.pack(
                f">{1 + array.ndim}I", 0x0800 + array.ndim, *array.shape
            )
            path = folder / "mnist" / f"{prefix}-{name}-ubyte.gz"
            content = header + array.tobytes()
            path.write_bytes(gzip.compress(content, compresslevel=1))


def prepare(options, cache_dir):
    """Returns functions that go once through all images."""
    kept, _ = load("multi_mnist", **options)
    batches = load(
        "multi_mnist",
        backend_native="pydataset",
        batch_size=BATCH_SIZE,
        **options,
    )
    ways = {
        "made, all at once, files included": lambda: load(
            "multi_mnist", **options
        ),
        "arrays, batches cut at random": lambda: cut(kept),
        "PyDataset, batches made": lambda: go_through(batches),
    }
    try:
        dataset = load(
            "multi_mnist",
            backend_native="tf",
            batch_size=BATCH_SIZE,
            cache_dir=cache_dir,
            **options,
        )
    except ImportError as error:
        print(f"Without tf.data: {error}\n")
        return ways
    return {**ways, "tf.data, prepared files": lambda: list(dataset)}


def cut(images):
    order = np.random.default_rng(0).permutation(len(images))
    for start in range(0, len(order), BATCH_SIZE):
        images[order[start : start + BATCH_SIZE]]


def go_through(batches):
    for index in range(len(batches)):
        batches[index]
    batches.on_epoch_end()


def seconds(function):
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def main():
    arguments = parse()
    with tempfile.TemporaryDirectory() as folder:
        data_dir = arguments.data_dir
        if data_dir is None:
            data_dir = Path(folder)
            write_noise(data_dir)
        options = {
            "data_dir": data_dir,
            "num_train": arguments.images,
            "num_test": 1,
        }
        ways = prepare(options, Path(folder) / "prepared")
        times = {name: [] for name in ways}
        for _ in range(arguments.rounds):
            for name, function in ways.items():
                times[name].append(seconds(function))
    print(
        f"{arguments.images} images of 36 x 36, batches of {BATCH_SIZE}, "
        f"{platform.machine()}, median of {arguments.rounds}"
    )
    print("\n| way | images a second |")
    print("| --- | ---: |")
    for name, measured in times.items():
        rate = arguments.images / statistics.median(measured)
        print(f"| {name} | {rate:,.0f} |")


if __name__ == "__main__":
    main()
