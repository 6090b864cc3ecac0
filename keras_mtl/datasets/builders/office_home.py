"""`office_home` for TensorFlow Datasets."""

from keras_mtl.datasets.builders.recipe_builder import RecipeBuilder


class Builder(RecipeBuilder):
    """Builder of `office_home`."""

    name = "mtl_office_home"
    recipe_name = "office_home"
