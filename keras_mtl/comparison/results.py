"""results.json: everything that was measured, and how."""

import dataclasses
from typing import Any

from keras_mtl.comparison.agreement import compare_weights
from keras_mtl.comparison.jobs import Job
from keras_mtl.comparison.jobs import all_agreements
from keras_mtl.comparison.jobs import all_runs
from keras_mtl.comparison.results_folder import SCHEMA
from keras_mtl.comparison.results_folder import ResultsFolder
from keras_mtl.comparison.settings import Settings
from keras_mtl.comparison.summary import summarize


def collect(
    settings: Settings, folder: ResultsFolder, failed: dict[Job, str]
) -> dict[str, Any]:
    """Returns what results.json says, from the files of the jobs.

    Args:
        settings: The settings; what the folder has beside them is left out.
        folder: The folder.
        failed: Why jobs have failed.
    """
    jobs = all_runs(settings)
    missing = folder.unfinished([*all_agreements(settings), *jobs])
    runs = [folder.read_run(job) for job in jobs if job not in missing]
    # Each backend's own, once.
    versions = {run["backend"]: run["versions"] for run in runs}
    for run in runs:
        del run["schema"], run["versions"]
    agreements: dict[str, dict[str, Any]] = {}
    for job in all_agreements(settings):
        path = folder.file_of(job)
        if path.exists():
            agreements.setdefault(job.strategy, {})[job.backend] = path
    described = dataclasses.asdict(settings)
    # They change no result, and are of no use elsewhere.
    for name in ("output", "jobs", "data_dir"):
        del described[name]
    return {
        "schema": SCHEMA,
        "settings": described,
        "versions": versions,
        "summary": summarize(runs),
        "agreement": compare_weights(folder.start, agreements),
        "runs": runs,
        "missing": [
            {
                "backend": job.backend,
                "strategy": job.strategy,
                "seed": job.seed,
                "message": failed.get(job),
            }
            for job in missing
        ],
    }
