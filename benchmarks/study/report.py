"""Writes the page about the study, from the results that there are."""

from pathlib import Path

from benchmarks.study import cells
from benchmarks.study import domains_section
from benchmarks.study import overlaid_section
from benchmarks.study import plots
from benchmarks.study import rooms_section
from benchmarks.study.experiments import EXPERIMENTS
from benchmarks.study.results import Results
from benchmarks.study.results import read_results

#: Results by experiment and data set.
Known = dict[tuple[str, str], Results]

#: What people make of the results, beside them.
READING = "reading.md"

SECTIONS = {
    "A": overlaid_section,
    "B": rooms_section,
    "C": domains_section,
}

INTRODUCTION = """\
<!-- Written by `python -m benchmarks.study report`: do not edit. -->

# Study

Do the two systems do what their papers say, at a size that two CPU cores
finish in hours? This page shows what came out, as it is. All but "What we make
of it" is written by a program from the records in `benchmarks/study/results`;
`benchmarks/README.md` has the commands. What has not been run says so.

- A run's seed draws the data, the first weights and the order of the batches,
  so that methods with the same seed start alike and see the same. Differences
  are taken within seeds.
- Radii are chosen on validation images, with the first seed, per method and
  data set. Results are those of the last epoch on test images.
- `±` is half of a 95 % interval of Student's t distribution over the seeds;
  there is none for a single seed. With few seeds it is wide, and one in twenty
  misses.
- The learning rate is the same for all methods, and was not tuned for any."""

LIMITS = """\
## What this does not show

- Small networks, few images and few epochs: an effect that needs a ResNet or
  long training cannot be seen, and one that is seen here may not last there.
- A flatness method has one hyperparameter, the radius, that was tuned, and
  its base has none. "EW, equal time" pays for the time of the steps, not for
  that of the search.
- Intervals are over seeds of one data generator each. They say nothing about
  other data sets.
- CPU times were measured beside other programs, which share caches and memory
  with them."""


def write_report(results: Path, docs: Path) -> None:
    """Writes `study.md` and its plots.

    Args:
        results: Folder of the results.
        docs: Folder of the page; the plots go into its `assets`.
    """
    known = read_results(results)
    parts = [INTRODUCTION, _progress(known), _headlines(known)]
    reading = results / READING
    if reading.exists():
        parts.append(reading.read_text().strip())
    for name, experiment in EXPERIMENTS.items():
        parts.append(SECTIONS[name].INTRODUCTION)
        for dataset in experiment.datasets:
            parts.append(f"### `{dataset}`")
            found = known.get((name, dataset))
            parts += (
                ["Not run."]
                if found is None
                else (SECTIONS[name].paragraphs(found))
            )
    parts.append(LIMITS)
    assets = docs / "assets"
    assets.mkdir(parents=True, exist_ok=True)
    for (_, dataset), found in known.items():
        if found.settings["rhos"]:
            plots.plot_radii(found, assets / f"study_rho_{dataset}.svg")
    (docs / "study.md").write_text("\n\n".join(parts) + "\n")


def _progress(known: Known) -> str:
    """Returns a table of what has been run."""
    rows = []
    for name, experiment in EXPERIMENTS.items():
        for dataset in experiment.datasets:
            row = [name, f"`{dataset}`", cells.NOT_RUN]
            if (name, dataset) in known:
                found = known[name, dataset]
                seeds = len({record["seed"] for record in found.runs})
                row[-1] = f"{len(found.runs)} of {found.expected()}"
                row += [str(seeds), _versions(found)]
            rows.append(row)
    head = ["experiment", "data set", "runs", "seeds begun", "with"]
    return "## What has been run\n\n" + cells.markdown(head, rows)


def _versions(results: Results) -> str:
    settings = results.settings
    return (
        f"{settings['backend']}, Keras {settings['keras']}, "
        f"keras_mtl {settings['keras_mtl']}"
    )


def _headlines(known: Known) -> str:
    """Returns a list of what each data set says."""
    lines = [
        f"- {name}, `{dataset}`: {sentence}"
        for name, experiment in EXPERIMENTS.items()
        for dataset in experiment.datasets
        if (name, dataset) in known
        for sentence in SECTIONS[name].headlines(known[name, dataset])
    ]
    return "## In short\n\n" + ("\n".join(lines) or "Nothing has been run.")
