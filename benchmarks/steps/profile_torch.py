"""The profiler of torch."""

import torch


def times_by_operation(run):
    """Returns the ms that each operation takes by itself while `run` runs."""
    activities = [torch.profiler.ProfilerActivity.CPU]
    with torch.profiler.profile(activities=activities) as profile:
        run()
    return {
        event.key: event.self_cpu_time_total / 1000
        for event in profile.key_averages()
    }
