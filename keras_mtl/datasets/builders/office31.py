"""`office31` for TensorFlow Datasets."""

from keras_mtl.datasets.builders.recipe_builder import RecipeBuilder


class Builder(RecipeBuilder):
    """Builder of `office31`."""

    name = "mtl_office31"
    recipe_name = "office31"
