"""`rendered_rooms` for TensorFlow Datasets."""

from keras_mtl.datasets.builders.recipe_builder import RecipeBuilder


class Builder(RecipeBuilder):
    """Builder of `rendered_rooms`."""

    name = "mtl_rendered_rooms"
    recipe_name = "rendered_rooms"
