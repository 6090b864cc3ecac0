"""Everything that touches TensorFlow, JAX or torch, one file each.

The three modules offer the same names:

- `linearize(function, values)`: one forward pass and a pullback that gives
  gradients of any of its losses;
- `linearize_both_ways(function, values)`: with a pushforward, too, that gives
  the slopes of all losses along a direction;
- `after(value, other)`: the value, not before the other one is known;
- `end_of_pass(gradients)`: what is known when a pass is through;
- `TrainStepFrame`: how the Keras trainer of the backend calls the step;
- `commit(...)`: the optimizer's step and all new state, at once or not at all;
- `assign(...)`: values of variables, which all replicas agree on;
- `RandomReplay()`: the same random numbers in several forward passes;
- `global_random_state()`, `set_global_random_state(...)`: what layers draw
  from besides their own seed generators;
- `reached_variables(...)`: which values each output depends on;
- `build_scope(model)`: the scope in which a model's variables are created;
- `to_host(tensors)`: concrete values as NumPy arrays, or `None` in a graph;
- `while_loop(...)`: a loop that stays on the device in every graph;
- `check_devices()`: refuses device set-ups that would train wrongly;
- `num_replicas()`, `sum_over_replicas(...)`, `undivided_loss(...)`,
  `divided_loss(...)`, `synchronize(...)`: several replicas with a part of
  each batch;
- `STACK_FROM`, `gather_rows(...)`, `inner_products(...)`: the layout of task
  gradients that suits the framework;
- `all_finite(...)`, `lerp(...)`, `row_products(...)`, `squared_norm(...)`,
  `subtract(...)`, `weighted_sum(...)`: what takes `keras.ops` several passes
  over the memory;
- `supports_jit_compile`: whether `jit_compile=True` means anything.
"""

import keras

_NAME = keras.backend.backend()

if _NAME == "jax":
    from keras_mtl.backend.jax import STACK_FROM
    from keras_mtl.backend.jax import STACKS_ROWS
    from keras_mtl.backend.jax import RandomReplay
    from keras_mtl.backend.jax import TrainStepFrame
    from keras_mtl.backend.jax import after
    from keras_mtl.backend.jax import all_finite
    from keras_mtl.backend.jax import assign
    from keras_mtl.backend.jax import build_scope
    from keras_mtl.backend.jax import check_devices
    from keras_mtl.backend.jax import commit
    from keras_mtl.backend.jax import compile_function
    from keras_mtl.backend.jax import divided_loss
    from keras_mtl.backend.jax import end_of_pass
    from keras_mtl.backend.jax import gather_rows
    from keras_mtl.backend.jax import global_random_state
    from keras_mtl.backend.jax import hessian_product
    from keras_mtl.backend.jax import inner_products
    from keras_mtl.backend.jax import lerp
    from keras_mtl.backend.jax import linearize
    from keras_mtl.backend.jax import linearize_both_ways
    from keras_mtl.backend.jax import num_replicas
    from keras_mtl.backend.jax import reached_variables
    from keras_mtl.backend.jax import row_products
    from keras_mtl.backend.jax import set_global_random_state
    from keras_mtl.backend.jax import squared_norm
    from keras_mtl.backend.jax import subtract
    from keras_mtl.backend.jax import sum_over_replicas
    from keras_mtl.backend.jax import supports_jit_compile
    from keras_mtl.backend.jax import synchronize
    from keras_mtl.backend.jax import to_host
    from keras_mtl.backend.jax import undivided_loss
    from keras_mtl.backend.jax import weighted_sum
    from keras_mtl.backend.jax import while_loop
elif _NAME == "tensorflow":
    from keras_mtl.backend.tensorflow import STACK_FROM
    from keras_mtl.backend.tensorflow import STACKS_ROWS
    from keras_mtl.backend.tensorflow import RandomReplay
    from keras_mtl.backend.tensorflow import TrainStepFrame
    from keras_mtl.backend.tensorflow import after
    from keras_mtl.backend.tensorflow import all_finite
    from keras_mtl.backend.tensorflow import assign
    from keras_mtl.backend.tensorflow import build_scope
    from keras_mtl.backend.tensorflow import check_devices
    from keras_mtl.backend.tensorflow import commit
    from keras_mtl.backend.tensorflow import compile_function
    from keras_mtl.backend.tensorflow import divided_loss
    from keras_mtl.backend.tensorflow import end_of_pass
    from keras_mtl.backend.tensorflow import gather_rows
    from keras_mtl.backend.tensorflow import global_random_state
    from keras_mtl.backend.tensorflow import hessian_product
    from keras_mtl.backend.tensorflow import inner_products
    from keras_mtl.backend.tensorflow import lerp
    from keras_mtl.backend.tensorflow import linearize
    from keras_mtl.backend.tensorflow import linearize_both_ways
    from keras_mtl.backend.tensorflow import num_replicas
    from keras_mtl.backend.tensorflow import reached_variables
    from keras_mtl.backend.tensorflow import row_products
    from keras_mtl.backend.tensorflow import set_global_random_state
    from keras_mtl.backend.tensorflow import squared_norm
    from keras_mtl.backend.tensorflow import subtract
    from keras_mtl.backend.tensorflow import sum_over_replicas
    from keras_mtl.backend.tensorflow import supports_jit_compile
    from keras_mtl.backend.tensorflow import synchronize
    from keras_mtl.backend.tensorflow import to_host
    from keras_mtl.backend.tensorflow import undivided_loss
    from keras_mtl.backend.tensorflow import weighted_sum
    from keras_mtl.backend.tensorflow import while_loop
elif _NAME == "torch":
    from keras_mtl.backend.torch import STACK_FROM
    from keras_mtl.backend.torch import STACKS_ROWS
    from keras_mtl.backend.torch import RandomReplay
    from keras_mtl.backend.torch import TrainStepFrame
    from keras_mtl.backend.torch import after
    from keras_mtl.backend.torch import all_finite
    from keras_mtl.backend.torch import assign
    from keras_mtl.backend.torch import build_scope
    from keras_mtl.backend.torch import check_devices
    from keras_mtl.backend.torch import commit
    from keras_mtl.backend.torch import compile_function
    from keras_mtl.backend.torch import divided_loss
    from keras_mtl.backend.torch import end_of_pass
    from keras_mtl.backend.torch import gather_rows
    from keras_mtl.backend.torch import global_random_state
    from keras_mtl.backend.torch import hessian_product
    from keras_mtl.backend.torch import inner_products
    from keras_mtl.backend.torch import lerp
    from keras_mtl.backend.torch import linearize
    from keras_mtl.backend.torch import linearize_both_ways
    from keras_mtl.backend.torch import num_replicas
    from keras_mtl.backend.torch import reached_variables
    from keras_mtl.backend.torch import row_products
    from keras_mtl.backend.torch import set_global_random_state
    from keras_mtl.backend.torch import squared_norm
    from keras_mtl.backend.torch import subtract
    from keras_mtl.backend.torch import sum_over_replicas
    from keras_mtl.backend.torch import supports_jit_compile
    from keras_mtl.backend.torch import synchronize
    from keras_mtl.backend.torch import to_host
    from keras_mtl.backend.torch import undivided_loss
    from keras_mtl.backend.torch import weighted_sum
    from keras_mtl.backend.torch import while_loop
else:
    raise ImportError(
        "keras_mtl trains models, which the Keras backend "
        f"{_NAME!r} cannot do. Set the environment variable KERAS_BACKEND to "
        "'tensorflow', 'jax' or 'torch' before the first import of keras."
    )

__all__ = [
    "STACKS_ROWS",
    "STACK_FROM",
    "RandomReplay",
    "TrainStepFrame",
    "after",
    "all_finite",
    "assign",
    "build_scope",
    "check_devices",
    "commit",
    "compile_function",
    "divided_loss",
    "end_of_pass",
    "gather_rows",
    "global_random_state",
    "hessian_product",
    "inner_products",
    "lerp",
    "linearize",
    "linearize_both_ways",
    "num_replicas",
    "reached_variables",
    "row_products",
    "set_global_random_state",
    "squared_norm",
    "subtract",
    "sum_over_replicas",
    "supports_jit_compile",
    "synchronize",
    "to_host",
    "undivided_loss",
    "weighted_sum",
    "while_loop",
]
