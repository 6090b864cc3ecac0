"""Callbacks for multi-task training."""

from keras_mtl.callbacks.delta_m import DeltaM as DeltaM
from keras_mtl.callbacks.mtl_early_stopping import (
    MTLEarlyStopping as MTLEarlyStopping,
)
from keras_mtl.callbacks.rho_scheduler import RhoScheduler as RhoScheduler
from keras_mtl.callbacks.sharpness_monitor import (
    SharpnessMonitor as SharpnessMonitor,
)
from keras_mtl.callbacks.task_monitor import TaskMonitor as TaskMonitor
from keras_mtl.callbacks.temperature_schedule import (
    TemperatureSchedule as TemperatureSchedule,
)

__all__ = [
    "DeltaM",
    "MTLEarlyStopping",
    "RhoScheduler",
    "SharpnessMonitor",
    "TaskMonitor",
    "TemperatureSchedule",
]
