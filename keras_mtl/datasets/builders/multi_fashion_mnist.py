"""`multi_fashion_mnist` for TensorFlow Datasets."""

from keras_mtl.datasets.builders.recipe_builder import RecipeBuilder


class Builder(RecipeBuilder):
    """Builder of `multi_fashion_mnist`."""

    name = "mtl_multi_fashion_mnist"
    recipe_name = "multi_fashion_mnist"
