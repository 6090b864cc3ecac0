"""Sources of data and settings of `compile`, with one result."""

import keras
import pytest

from training import toy


class Batches(keras.utils.PyDataset):
    def __init__(self, x, y):
        super().__init__()
        self.x, self.y = x, y

    def __len__(self):
        return len(self.x) // 8

    def __getitem__(self, index):
        part = slice(8 * index, 8 * index + 8)
        return self.x[part], {k: v[part] for k, v in self.y.items()}


def as_tf_data(x, y):
    tf = pytest.importorskip("tensorflow")
    return tf.data.Dataset.from_tensor_slices((x, y)).batch(8)


def as_data_loader(x, y):
    torch = pytest.importorskip("torch")
    items = [(x[i], {k: v[i] for k, v in y.items()}) for i in range(len(x))]
    return torch.utils.data.DataLoader(items, batch_size=8)


SOURCES = {
    "tf_data": as_tf_data,
    "py_dataset": Batches,
    "data_loader": as_data_loader,
}


@pytest.mark.parametrize("source", SOURCES)
def test_data_sources(source, reference):
    model = toy.make_model()
    toy.compiled(model, toy.fresh_strategy("fs_mtl"))
    dataset = SOURCES[source](*toy.data())
    history = toy.fit(model, dataset, None, batch_size=None)
    toy.assert_near_run(reference, model, history)


def test_validation_data():
    x, y = toy.data()
    model = toy.compiled(toy.make_model(), toy.fresh_strategy("fs_mtl"))
    validation = toy.data(seed=9)
    history = toy.fit(model, x, y, validation_data=validation)
    results = model.evaluate(
        *validation, batch_size=8, verbose=0, return_dict=True
    )
    for name, value in results.items():
        assert history[f"val_{name}"][-1] == pytest.approx(value, rel=1e-5)


def test_batch_by_batch(reference):
    model = toy.compiled(toy.make_model(), toy.fresh_strategy("fs_mtl"))
    x, y = toy.data()
    for _ in range(2):
        for start in range(0, len(x), 8):
            part = slice(start, start + 8)
            toy.step(model, x[part], {k: v[part] for k, v in y.items()})
    toy.assert_near(toy.weights(model), reference[0])


@pytest.mark.skipif(toy.BACKEND == "torch", reason="Keras has it not on torch")
def test_several_steps_per_execution(reference):
    model = toy.make_model()
    strategy = toy.fresh_strategy("fs_mtl")
    toy.compiled(model, strategy, steps_per_execution=3)
    toy.assert_near_run(reference, model, toy.fit(model))


@pytest.mark.skipif(toy.BACKEND == "torch", reason="torch is always eager")
@pytest.mark.parametrize(
    "settings",
    [{"jit_compile": True}, {"jit_compile": False}, {"run_eagerly": True}],
    ids=str,
)
def test_compiled_and_eager_steps_are_equal(settings, reference):
    model = toy.make_model()
    toy.compiled(model, toy.fresh_strategy("fs_mtl"), **settings)
    toy.assert_near_run(reference, model, toy.fit(model), atol=1e-5)


@pytest.mark.skipif(toy.BACKEND != "torch", reason="about torch.compile")
def test_torch_compile_is_turned_off_with_a_warning(reference):
    model = toy.make_model()
    with pytest.warns(UserWarning, match="turned off"):
        toy.compiled(model, toy.fresh_strategy("fs_mtl"), jit_compile=True)
    assert model.jit_compile is False
    toy.assert_near_run(reference, model, toy.fit(model))
