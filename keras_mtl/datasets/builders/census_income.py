"""`census_income` for TensorFlow Datasets."""

from keras_mtl.datasets.builders.recipe_builder import RecipeBuilder
from keras_mtl.datasets.manual_files import CENSUS_INCOME


class Builder(RecipeBuilder):
    """Builder of `census_income`, which is downloaded without `source_dir`."""

    name = "mtl_census_income"
    recipe_name = "census_income"

    def _split_generators(self, dl_manager):
        if self.source_dir is None:
            self.source_dir = dl_manager.download(CENSUS_INCOME)
        return super()._split_generators(dl_manager)
