"""`celeba_attributes` for TensorFlow Datasets."""

from keras_mtl.datasets.builders.recipe_builder import RecipeBuilder


class Builder(RecipeBuilder):
    """Builder of `celeba_attributes`."""

    name = "mtl_celeba_attributes"
    recipe_name = "celeba_attributes"
