"""`multi_mnist` for TensorFlow Datasets."""

from keras_mtl.datasets.builders.recipe_builder import RecipeBuilder


class Builder(RecipeBuilder):
    """Builder of `multi_mnist`."""

    name = "mtl_multi_mnist"
    recipe_name = "multi_mnist"
