"""Everything that touches TensorFlow, JAX or torch.

All three backends offer the same names:

- `linearize(function, values)`: one forward pass and a pullback that gives
  gradients of any of its losses;
- `linearize_both_ways(function, values)`: with a pushforward, too, that gives
  the slopes of all losses along a direction;
- `after(value, other)`: the value, not before the other one is known;
- `end_of_pass(gradients)`: what is known when a pass is through;
- `TrainStepFrame`: how the Keras trainer of the backend calls the step;
- `commit(...)`: the optimizer's step and all new state, at once or not at all;
- `computed_once(...)`: a condition that many things depend on;
- `assign(...)`: values of variables, which all replicas agree on;
- `RandomReplay()`: the same random numbers in several forward passes;
- `global_random_state()`, `set_global_random_state(...)`: what layers draw
  from besides their own seed generators;
- `differentiable(function)`: a call in which gradients can be taken;
- `reached_variables(...)`: which values each output has gradients by;
- `Bypass(model, variables)`: what a model reads past Keras's variables;
- `live_gradients(...)`, `live_reach(...)`, `evaluate_live(...)`: plain
  gradients, by the variables themselves;
- `autocast_dtypes()`: what the framework itself computes with instead;
- `peek(...)`, `local_tensors(...)`: the first batch, before a step takes it;
- `check_stranger(variable)`: refuses state that a step cannot keep;
- `build_scope(model)`: the scope in which a model's variables are created;
- `full_precision()`, `forward_precision()`: contexts that suspend and resume
  what computes in 16 bits on its own;
- `to_host(tensors)`: concrete values as NumPy arrays, or `None` in a graph;
- `small_product(...)`: a matrix product within a solver;
- `while_loop(...)`: a loop that stays on the device in every graph;
- `check_devices()`: refuses device set-ups that would train wrongly;
- `num_replicas()`, `sum_over_replicas(...)`, `undivided_loss(...)`,
  `divided_loss(...)`, `synchronize(...)`: several replicas with a part of
  each batch;
- `STACK_FROM`, `gather_rows(...)`, `inner_products(...)`: the layout of task
  gradients that suits the framework;
- `as_vectors(...)`, `as_matrices(...)`, `stack_rows(...)`,
  `combine_rows(...)`: gradients as vectors and matrices, in the order in which
  memory has them;
- `layout_of(...)`, `take_layouts(...)`: that order, for variables to have too;
- `STACKS_LABELS`: whether labels of several tasks are looked at at once;
- `all_finite(...)`, `gramian(...)`, `lerp(...)`, `row_products(...)`,
  `squared_norm(...)`, `subtract(...)`, `weighted_sum(...)`: what takes
  `keras.ops` longer, or several passes over the memory;
- `supports_jit_compile`: whether `jit_compile=True` means anything.
"""

from contextlib import nullcontext

import keras

_NAME = keras.backend.backend()

if _NAME == "jax":
    from keras_mtl.backend.jax import STACK_FROM
    from keras_mtl.backend.jax import STACKS_LABELS
    from keras_mtl.backend.jax import STACKS_ROWS
    from keras_mtl.backend.jax import RandomReplay
    from keras_mtl.backend.jax import TrainStepFrame
    from keras_mtl.backend.jax import after
    from keras_mtl.backend.jax import assign
    from keras_mtl.backend.jax import build_scope
    from keras_mtl.backend.jax import check_devices
    from keras_mtl.backend.jax import check_stranger
    from keras_mtl.backend.jax import commit
    from keras_mtl.backend.jax import compile_function
    from keras_mtl.backend.jax import computed_once
    from keras_mtl.backend.jax import differentiable
    from keras_mtl.backend.jax import divided_loss
    from keras_mtl.backend.jax import end_of_pass
    from keras_mtl.backend.jax import global_random_state
    from keras_mtl.backend.jax import hessian_product
    from keras_mtl.backend.jax import linearize
    from keras_mtl.backend.jax import linearize_both_ways
    from keras_mtl.backend.jax import num_replicas
    from keras_mtl.backend.jax import reached_variables
    from keras_mtl.backend.jax import set_global_random_state
    from keras_mtl.backend.jax import sum_over_replicas
    from keras_mtl.backend.jax import supports_jit_compile
    from keras_mtl.backend.jax import synchronize
    from keras_mtl.backend.jax import to_host
    from keras_mtl.backend.jax import undivided_loss
    from keras_mtl.backend.jax import while_loop
    from keras_mtl.backend.jax_arithmetic import all_finite
    from keras_mtl.backend.jax_arithmetic import gather_rows
    from keras_mtl.backend.jax_arithmetic import inner_products
    from keras_mtl.backend.jax_arithmetic import lerp
    from keras_mtl.backend.jax_arithmetic import row_products
    from keras_mtl.backend.jax_arithmetic import small_product
    from keras_mtl.backend.jax_arithmetic import squared_norm
    from keras_mtl.backend.jax_arithmetic import subtract
    from keras_mtl.backend.jax_arithmetic import weighted_sum
    from keras_mtl.backend.jax_live import autocast_dtypes
    from keras_mtl.backend.jax_live import evaluate_live
    from keras_mtl.backend.jax_live import live_gradients
    from keras_mtl.backend.jax_live import live_reach
    from keras_mtl.backend.jax_live import local_tensors
    from keras_mtl.backend.jax_live import peek
    from keras_mtl.backend.no_bypass import Bypass
    from keras_mtl.backend.row_major import as_matrices
    from keras_mtl.backend.row_major import as_vectors
    from keras_mtl.backend.row_major import combine_rows
    from keras_mtl.backend.row_major import gramian
    from keras_mtl.backend.row_major import layout_of
    from keras_mtl.backend.row_major import stack_rows
    from keras_mtl.backend.row_major import take_layouts
elif _NAME == "tensorflow":
    from keras_mtl.backend.row_major import as_matrices
    from keras_mtl.backend.row_major import as_vectors
    from keras_mtl.backend.row_major import combine_rows
    from keras_mtl.backend.row_major import gramian
    from keras_mtl.backend.row_major import layout_of
    from keras_mtl.backend.row_major import stack_rows
    from keras_mtl.backend.row_major import take_layouts
    from keras_mtl.backend.tensorflow import STACK_FROM
    from keras_mtl.backend.tensorflow import STACKS_LABELS
    from keras_mtl.backend.tensorflow import STACKS_ROWS
    from keras_mtl.backend.tensorflow import RandomReplay
    from keras_mtl.backend.tensorflow import TrainStepFrame
    from keras_mtl.backend.tensorflow import after
    from keras_mtl.backend.tensorflow import all_finite
    from keras_mtl.backend.tensorflow import assign
    from keras_mtl.backend.tensorflow import build_scope
    from keras_mtl.backend.tensorflow import check_devices
    from keras_mtl.backend.tensorflow import check_stranger
    from keras_mtl.backend.tensorflow import commit
    from keras_mtl.backend.tensorflow import compile_function
    from keras_mtl.backend.tensorflow import computed_once
    from keras_mtl.backend.tensorflow import differentiable
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
    from keras_mtl.backend.tensorflow import small_product
    from keras_mtl.backend.tensorflow import squared_norm
    from keras_mtl.backend.tensorflow import subtract
    from keras_mtl.backend.tensorflow import sum_over_replicas
    from keras_mtl.backend.tensorflow import supports_jit_compile
    from keras_mtl.backend.tensorflow import synchronize
    from keras_mtl.backend.tensorflow import to_host
    from keras_mtl.backend.tensorflow import undivided_loss
    from keras_mtl.backend.tensorflow import weighted_sum
    from keras_mtl.backend.tensorflow import while_loop
    from keras_mtl.backend.tensorflow_bypass import Bypass
    from keras_mtl.backend.tensorflow_live import autocast_dtypes
    from keras_mtl.backend.tensorflow_live import evaluate_live
    from keras_mtl.backend.tensorflow_live import live_gradients
    from keras_mtl.backend.tensorflow_live import live_reach
    from keras_mtl.backend.tensorflow_live import local_tensors
    from keras_mtl.backend.tensorflow_live import peek
elif _NAME == "torch":
    from keras_mtl.backend.torch import STACK_FROM
    from keras_mtl.backend.torch import STACKS_LABELS
    from keras_mtl.backend.torch import STACKS_ROWS
    from keras_mtl.backend.torch import RandomReplay
    from keras_mtl.backend.torch import TrainStepFrame
    from keras_mtl.backend.torch import after
    from keras_mtl.backend.torch import assign
    from keras_mtl.backend.torch import build_scope
    from keras_mtl.backend.torch import check_devices
    from keras_mtl.backend.torch import check_stranger
    from keras_mtl.backend.torch import commit
    from keras_mtl.backend.torch import compile_function
    from keras_mtl.backend.torch import computed_once
    from keras_mtl.backend.torch import differentiable
    from keras_mtl.backend.torch import divided_loss
    from keras_mtl.backend.torch import end_of_pass
    from keras_mtl.backend.torch import global_random_state
    from keras_mtl.backend.torch import hessian_product
    from keras_mtl.backend.torch import linearize
    from keras_mtl.backend.torch import linearize_both_ways
    from keras_mtl.backend.torch import num_replicas
    from keras_mtl.backend.torch import reached_variables
    from keras_mtl.backend.torch import set_global_random_state
    from keras_mtl.backend.torch import sum_over_replicas
    from keras_mtl.backend.torch import supports_jit_compile
    from keras_mtl.backend.torch import synchronize
    from keras_mtl.backend.torch import to_host
    from keras_mtl.backend.torch import undivided_loss
    from keras_mtl.backend.torch import while_loop
    from keras_mtl.backend.torch_arithmetic import all_finite
    from keras_mtl.backend.torch_arithmetic import gather_rows
    from keras_mtl.backend.torch_arithmetic import gramian
    from keras_mtl.backend.torch_arithmetic import inner_products
    from keras_mtl.backend.torch_arithmetic import lerp
    from keras_mtl.backend.torch_arithmetic import row_products
    from keras_mtl.backend.torch_arithmetic import small_product
    from keras_mtl.backend.torch_arithmetic import squared_norm
    from keras_mtl.backend.torch_arithmetic import subtract
    from keras_mtl.backend.torch_arithmetic import weighted_sum
    from keras_mtl.backend.torch_bypass import Bypass
    from keras_mtl.backend.torch_layout import as_matrices
    from keras_mtl.backend.torch_layout import as_vectors
    from keras_mtl.backend.torch_layout import combine_rows
    from keras_mtl.backend.torch_layout import layout_of
    from keras_mtl.backend.torch_layout import stack_rows
    from keras_mtl.backend.torch_layout import take_layouts
    from keras_mtl.backend.torch_live import autocast_dtypes
    from keras_mtl.backend.torch_live import evaluate_live
    from keras_mtl.backend.torch_live import live_gradients
    from keras_mtl.backend.torch_live import live_reach
    from keras_mtl.backend.torch_live import local_tensors
    from keras_mtl.backend.torch_live import peek
    from keras_mtl.backend.torch_precision import forward_precision
    from keras_mtl.backend.torch_precision import full_precision
else:
    raise ImportError(
        "keras_mtl trains models, which the Keras backend "
        f"{_NAME!r} cannot do. Set the environment variable KERAS_BACKEND to "
        "'tensorflow', 'jax' or 'torch' before the first import of keras."
    )

if _NAME != "torch":
    forward_precision = full_precision = nullcontext

__all__ = [
    "STACKS_LABELS",
    "STACKS_ROWS",
    "STACK_FROM",
    "Bypass",
    "RandomReplay",
    "TrainStepFrame",
    "after",
    "all_finite",
    "as_matrices",
    "as_vectors",
    "assign",
    "autocast_dtypes",
    "build_scope",
    "check_devices",
    "check_stranger",
    "combine_rows",
    "commit",
    "compile_function",
    "computed_once",
    "differentiable",
    "divided_loss",
    "end_of_pass",
    "evaluate_live",
    "forward_precision",
    "full_precision",
    "gather_rows",
    "global_random_state",
    "gramian",
    "hessian_product",
    "inner_products",
    "layout_of",
    "lerp",
    "linearize",
    "linearize_both_ways",
    "live_gradients",
    "live_reach",
    "local_tensors",
    "num_replicas",
    "peek",
    "reached_variables",
    "row_products",
    "set_global_random_state",
    "small_product",
    "squared_norm",
    "stack_rows",
    "subtract",
    "sum_over_replicas",
    "supports_jit_compile",
    "synchronize",
    "take_layouts",
    "to_host",
    "undivided_loss",
    "weighted_sum",
    "while_loop",
]
