"""Plots for papers and notebooks; Matplotlib is imported when one is drawn."""

from keras_mtl.visualization.plot_conflicts import plot_conflicts
from keras_mtl.visualization.plot_loss_landscape import plot_loss_landscape
from keras_mtl.visualization.plot_losses import plot_losses
from keras_mtl.visualization.plot_pareto_front import plot_pareto_front
from keras_mtl.visualization.plot_predictions import plot_predictions
from keras_mtl.visualization.plot_reliability import plot_reliability
from keras_mtl.visualization.plot_sharpness import plot_sharpness
from keras_mtl.visualization.plot_task_weights import plot_task_weights

__all__ = [
    "plot_conflicts",
    "plot_loss_landscape",
    "plot_losses",
    "plot_pareto_front",
    "plot_predictions",
    "plot_reliability",
    "plot_sharpness",
    "plot_task_weights",
]
