"""`multi_digits` for TensorFlow Datasets."""

from keras_mtl.datasets.builders.recipe_builder import RecipeBuilder


class Builder(RecipeBuilder):
    """Builder of `multi_digits`."""

    name = "mtl_multi_digits"
    recipe_name = "multi_digits"
