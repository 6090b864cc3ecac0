"""`cityscapes` for TensorFlow Datasets."""

from keras_mtl.datasets.builders.recipe_builder import RecipeBuilder


class Builder(RecipeBuilder):
    """Builder of `cityscapes`."""

    name = "mtl_cityscapes"
    recipe_name = "cityscapes"
