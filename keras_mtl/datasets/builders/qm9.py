"""`qm9` for TensorFlow Datasets."""

from keras_mtl.datasets.builders.recipe_builder import RecipeBuilder


class Builder(RecipeBuilder):
    """Builder of `qm9`."""

    name = "mtl_qm9"
    recipe_name = "qm9"
