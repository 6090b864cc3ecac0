"""`nyuv2` for TensorFlow Datasets."""

from keras_mtl.datasets.builders.recipe_builder import RecipeBuilder


class Builder(RecipeBuilder):
    """Builder of `nyuv2`."""

    name = "mtl_nyuv2"
    recipe_name = "nyuv2"
