"""Writes the page and the lab book of the study, from what there is."""

from pathlib import Path

from benchmarks.study import domains_section
from benchmarks.study import overlaid_section
from benchmarks.study import plots
from benchmarks.study import rooms_section
from benchmarks.study import tables
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

Do FS-MTL and DB-MTL do what their papers say, at a size that two CPU cores
finish in hours? There are three experiments:

- A: two overlaid images, one task each, LeNet: FS-MTL against its base;
- B: rooms, three tasks for each pixel, with depth in metres and in centimetres:
  what DB-MTL balances;
- C: three domains of 1,000, 1,000 and 100 images: a task with few labels.

A program writes the tables from the records of the runs (`python -m
benchmarks.study report`). All results, by method, metric and radius, are in
`benchmarks/study/LABBOOK.md`; `benchmarks/README.md` has the commands.

`±` is half of a 95 % interval of Student's t distribution over the seeds.
Differences are taken between runs with the same seed, which start alike and see
the same data; p values are those of paired t tests, not corrected for how many
there are."""

LIMITS = """\
## What this does not show

- Small networks, few images and few epochs: an effect that needs a ResNet or
  long training cannot be seen, and one that is seen here may not last there.
- A flatness method has one hyperparameter, the radius, that was tuned, and
  its base has none. "EW, equal time" pays for the time of the steps, not for
  that of the search.
- The learning rate is the same for all methods, and was not tuned for any.
- Intervals are over few seeds of one data generator each. They are wide, one in
  twenty misses, and they say nothing about other data sets."""

LABBOOK_INTRODUCTION = """\
<!-- Written by `python -m benchmarks.study report`: do not edit. -->

# Lab book of the study

All results, as they are. `docs/study.md` says in short what they show, and what
they do not. What has not been run says so.

- A run's seed draws the data, the first weights and the order of the batches,
  so that methods with the same seed start alike and see the same. Differences
  are taken within seeds.
- Radii are chosen on validation images, with the first seed, per method and
  data set. Results are those of the last epoch on test images.
- `±` is half of a 95 % interval of Student's t distribution over the seeds;
  there is none for a single seed. With few seeds it is wide, and one in twenty
  misses.
- The learning rate is the same for all methods, and was not tuned for any.
- CPU times were measured beside other programs, which share caches and memory
  with them."""


def write_report(results: Path, docs: Path, labbook: Path) -> None:
    """Writes `study.md`, and `LABBOOK.md` with its plots.

    Args:
        results: Folder of the results.
        docs: Folder of the page.
        labbook: Folder of the lab book; the plots go into its `assets`.
    """
    known = read_results(results)
    page = [INTRODUCTION, _headlines(known)]
    reading = results / READING
    if reading.exists():
        page.append(reading.read_text().strip())
    _write(docs / "study.md", [*page, LIMITS])
    parts = [LABBOOK_INTRODUCTION, _progress(known)]
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
    assets = labbook / "assets"
    assets.mkdir(parents=True, exist_ok=True)
    for (_, dataset), found in known.items():
        if found.settings["rhos"]:
            plots.plot_radii(found, assets / f"study_rho_{dataset}.svg")
    _write(labbook / "LABBOOK.md", parts)


def _write(path: Path, parts: list[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n\n".join(parts) + "\n")


def _progress(known: Known) -> str:
    """Returns a table of what has been run."""
    rows = []
    for name, experiment in EXPERIMENTS.items():
        for dataset in experiment.datasets:
            row = [name, f"`{dataset}`", tables.NOT_RUN]
            if (name, dataset) in known:
                found = known[name, dataset]
                seeds = len({record["seed"] for record in found.runs})
                row[-1] = f"{len(found.runs)} of {found.expected()}"
                row += [str(seeds), _versions(found)]
            rows.append(row)
    head = ["experiment", "data set", "runs", "seeds begun", "with"]
    return "## What has been run\n\n" + tables.markdown(head, rows)


def _versions(results: Results) -> str:
    settings = results.settings
    return (
        f"{settings['backend']}, Keras {settings['keras']}, "
        f"keras_mtl {settings['keras_mtl']}"
    )


def _headlines(known: Known) -> str:
    """Returns what each experiment says, in tables and sentences."""
    overlaid = {
        dataset: known["A", dataset]
        for dataset in EXPERIMENTS["A"].datasets
        if ("A", dataset) in known
    }
    lines = [
        f"- {name}, `{dataset}`: {sentence}"
        for name, experiment in EXPERIMENTS.items()
        for dataset in experiment.datasets
        if name != "A" and (name, dataset) in known
        for sentence in SECTIONS[name].headlines(known[name, dataset])
    ]
    parts = ["## In short"]
    if overlaid:
        parts += [
            "Points of accuracy that FS-MTL gains over its base in A, in bold "
            "where the\ninterval does not contain 0:",
            overlaid_section.gains(overlaid),
        ]
    if lines:
        parts.append("\n".join(lines))
    return "\n\n".join(parts if known else [*parts, "Nothing has been run."])
