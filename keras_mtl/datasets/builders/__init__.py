"""The data sets as builders of TensorFlow Datasets.

Importing a module of this package registers its builder, under the name of
the data set behind `mtl_`. It needs `pip install "keras-mtl[datasets]"`.
"""
