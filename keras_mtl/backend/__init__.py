"""Everything that touches TensorFlow, JAX or torch.

All three backends offer the same names. `common`, `common_arithmetic`,
`common_live`, `common_bypass` and `common_derivatives` say what they are, and
define those in which the backends agree. The modules of the backend in use
define the others.
"""

import keras

from keras_mtl.backend.common import *
from keras_mtl.backend.common_arithmetic import *
from keras_mtl.backend.common_bypass import *
from keras_mtl.backend.common_derivatives import *
from keras_mtl.backend.common_live import *

_NAME = keras.backend.backend()

# What differs takes the place of what was imported so far.
if _NAME == "jax":
    from keras_mtl.backend.jax import *
    from keras_mtl.backend.jax_arithmetic import *
    from keras_mtl.backend.jax_derivatives import *
    from keras_mtl.backend.jax_live import *
    from keras_mtl.backend.jax_trainer import *
elif _NAME == "tensorflow":
    from keras_mtl.backend.tensorflow import *
    from keras_mtl.backend.tensorflow_arithmetic import *
    from keras_mtl.backend.tensorflow_bypass import *
    from keras_mtl.backend.tensorflow_derivatives import *
    from keras_mtl.backend.tensorflow_live import *
    from keras_mtl.backend.tensorflow_trainer import *
elif _NAME == "torch":
    from keras_mtl.backend.torch import *
    from keras_mtl.backend.torch_arithmetic import *
    from keras_mtl.backend.torch_bypass import *
    from keras_mtl.backend.torch_derivatives import *
    from keras_mtl.backend.torch_layout import *
    from keras_mtl.backend.torch_live import *
    from keras_mtl.backend.torch_precision import *
    from keras_mtl.backend.torch_trainer import *
else:
    raise ImportError(
        "keras_mtl trains models, which the Keras backend "
        f"{_NAME!r} cannot do. Set the environment variable KERAS_BACKEND to "
        "'tensorflow', 'jax' or 'torch' before the first import of keras."
    )
