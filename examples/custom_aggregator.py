"""An aggregator of one's own, used as a strategy and inside FS-MTL.

Run with `python examples/custom_aggregator.py`.
"""

import sys

import keras
from keras import ops

import keras_mtl

EPOCHS = 1 if "--fast" in sys.argv else 4
IMAGES = 400 if "--fast" in sys.argv else 4000


@keras.saving.register_keras_serializable("examples")
class UnitMean(keras_mtl.aggregators.GramianAggregator):
    """Mean of the task gradients, each scaled to the length of the shortest.

    The diagonal of the Gramian holds the squared lengths, so the gradients
    themselves are not needed to find the weights.
    """

    def compute_weights(self, gramian, losses=None, mask=None):
        lengths = ops.sqrt(ops.maximum(ops.diagonal(gramian), 0.0))
        present = ops.ones_like(lengths) if mask is None else mask
        shortest = ops.min(ops.where(present > 0, lengths, ops.max(lengths)))
        # A task whose gradient is zero gets weight 0 rather than 0 / 0.
        safe = ops.where(lengths > 0, lengths, 1.0)
        weights = ops.where(lengths > 0, shortest / safe, 0.0)
        return present * weights / ops.maximum(ops.sum(present), 1.0)


aggregator = UnitMean()
print("two unequal gradients:", aggregator([[3.0, 0.0], [0.0, 1.0]]))

keras.utils.set_random_seed(0)
(x_train, y_train), (x_test, y_test) = keras_mtl.datasets.multi_digits(IMAGES)

image = keras.Input((20, 20, 1))
x = keras.layers.Flatten()(image)
x = keras.layers.Dense(128, activation="relu")(x)
outputs = {
    task: keras.layers.Dense(10, activation="softmax", name=task)(x)
    for task in ("left", "right")
}
model = keras_mtl.MultiTaskModel(image, outputs)
model.compile(
    optimizer="adam",
    loss={task: "sparse_categorical_crossentropy" for task in outputs},
    metrics={task: ["accuracy"] for task in outputs},
)
strategies = {
    "alone": UnitMean(),
    "inside FS-MTL": keras_mtl.strategies.FSMTL(aggregator=UnitMean()),
}
for name, strategy in strategies.items():
    model.fit(
        x_train,
        y_train,
        batch_size=100,
        epochs=EPOCHS,
        strategy=strategy,
        verbose=0,
    )
    results = model.evaluate(x_test, y_test, verbose=0, return_dict=True)
    for task in model.tasks:
        accuracy = results[f"{task}_accuracy"]
        print(f"{name}, {task}: test accuracy {accuracy:.3f}")
