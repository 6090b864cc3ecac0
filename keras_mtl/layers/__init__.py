"""Layers that share features between tasks."""

from keras_mtl.layers.cgc import CGC as CGC
from keras_mtl.layers.cross_stitch import CrossStitch as CrossStitch
from keras_mtl.layers.dselect_k import DSelectK as DSelectK
from keras_mtl.layers.hard_sharing import HardSharing as HardSharing
from keras_mtl.layers.learning_to_branch import (
    LearningToBranch as LearningToBranch,
)
from keras_mtl.layers.mixture_of_experts import (
    MixtureOfExperts as MixtureOfExperts,
)
from keras_mtl.layers.mmoe import MMoE as MMoE
from keras_mtl.layers.mtan import MTAN as MTAN
from keras_mtl.layers.ple import PLE as PLE

__all__ = [
    "CGC",
    "MTAN",
    "PLE",
    "CrossStitch",
    "DSelectK",
    "HardSharing",
    "LearningToBranch",
    "MMoE",
    "MixtureOfExperts",
]
