"""Multi-task data: data sets by name, and one out of a data set per task."""

from keras_mtl.datasets.celeba_attributes import celeba_attributes
from keras_mtl.datasets.census_income import census_income
from keras_mtl.datasets.cityscapes import cityscapes
from keras_mtl.datasets.load import load
from keras_mtl.datasets.multi_digits import multi_digits
from keras_mtl.datasets.multi_fashion import multi_fashion
from keras_mtl.datasets.multi_fashion_mnist import multi_fashion_mnist
from keras_mtl.datasets.multi_mnist import multi_mnist
from keras_mtl.datasets.multi_task_dataset import MultiTaskDataset
from keras_mtl.datasets.names import names
from keras_mtl.datasets.nyuv2 import nyuv2
from keras_mtl.datasets.office31 import office31
from keras_mtl.datasets.office_home import office_home
from keras_mtl.datasets.qm9 import qm9
from keras_mtl.datasets.rendered_rooms import rendered_rooms
from keras_mtl.datasets.resampled import Resampled

__all__ = [
    "MultiTaskDataset",
    "Resampled",
    "celeba_attributes",
    "census_income",
    "cityscapes",
    "load",
    "multi_digits",
    "multi_fashion",
    "multi_fashion_mnist",
    "multi_mnist",
    "names",
    "nyuv2",
    "office31",
    "office_home",
    "qm9",
    "rendered_rooms",
]
