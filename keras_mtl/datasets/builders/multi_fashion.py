"""`multi_fashion` for TensorFlow Datasets."""

from keras_mtl.datasets.builders.recipe_builder import RecipeBuilder


class Builder(RecipeBuilder):
    """Builder of `multi_fashion`."""

    name = "mtl_multi_fashion"
    recipe_name = "multi_fashion"
