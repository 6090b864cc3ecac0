"""Moving averages of the weights, as optimizers with `use_ema` keep them."""

import keras
from keras import ops

from keras_mtl import backend


def start_averages(optimizer, variables):
    """Starts the averages of an optimizer without updates at the weights.

    Keras ends `fit` by assigning the averages to the weights, also where no
    update was made: every step was left out, an error ended the first one, or
    `accumulate` batches have not come together yet. Averages start as zeros.

    Args:
        optimizer: A built optimizer.
        variables: The trainable variables that it was built with.
    """
    if isinstance(optimizer, keras.optimizers.LossScaleOptimizer):
        optimizer = optimizer.inner_optimizer
    if not optimizer.use_ema:
        return
    (updates,) = backend.to_host([ops.convert_to_tensor(optimizer.iterations)])
    if updates:
        return
    averages = [v for v in optimizer.variables if v.name.endswith("_average")]
    if len(averages) != len(variables):
        # Layers were frozen since; Keras refuses to end such a `fit`.
        return
    for variable, average in zip(variables, averages, strict=True):
        # On JAX a step may not be handed one array as two variables.
        average.assign(ops.copy(variable.value))
