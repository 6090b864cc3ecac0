"""The least that a hand-written TensorFlow loop does."""

import keras
import tensorflow as tf


def repeat_batch(problem):
    """An endless iterator over one batch, on the device."""
    data = tf.data.Dataset.from_tensors((problem.x, problem.y))
    return iter(data.repeat())


def trainer_step(model, problem):
    """One step of Keras's trainer, through the function that `fit` calls."""
    model.make_train_function()
    iterator = repeat_batch(problem)

    def step():
        logs = model.train_function(iterator)
        [value.numpy() for value in logs.values()]

    return step


def gradient_step(problem, batched=False):
    """One forward pass, K backward passes, the sum, the optimizer."""

    def update(x, y):
        gradients_of = batched_task_gradients if batched else task_gradients
        losses, rows, own = gradients_of(problem, x, y)
        return losses, add(rows), own

    return compiled(problem, update)


def flat_step(problem, rho):
    """The same, and a perturbed pass of trunk and one head for each task."""

    def update(x, y):
        shared = problem.trunk.trainable_variables
        losses, rows, own = task_gradients(problem, x, y)
        sharp_rows, sharp_own = [], {}
        for (task, head), row in zip(problem.heads.items(), rows, strict=True):
            heads = head.trainable_variables
            values = [*moved(shared, row, rho), *moved(heads, own[task], rho)]
            mapping = list(zip([*shared, *heads], values, strict=True))
            with tf.GradientTape(watch_accessed_variables=False) as tape:
                tape.watch(values)
                with keras.StatelessScope(mapping):
                    outputs = head(problem.trunk(x, training=True))
                    loss = problem.losses[task](y[task], outputs)
            gradients = tape.gradient(loss, values)
            sharp_rows.append(gradients[: len(shared)])
            sharp_own[task] = gradients[len(shared) :]
        return losses, add(sharp_rows), sharp_own

    return compiled(problem, update)


def task_gradients(problem, x, y):
    """Losses, and gradients of trunk and heads by task."""
    shared = [v.value for v in problem.trunk.trainable_variables]
    with tf.GradientTape(persistent=True) as tape:
        features = problem.trunk(x, training=True)
        losses = {
            task: problem.losses[task](y[task], head(features))
            for task, head in problem.heads.items()
        }
    rows, own = [], {}
    for task, head in problem.heads.items():
        heads = [v.value for v in head.trainable_variables]
        gradients = tape.gradient(losses[task], [*shared, *heads])
        rows.append(gradients[: len(shared)])
        own[task] = gradients[len(shared) :]
    return losses, rows, own


def batched_task_gradients(problem, x, y):
    """The same, with one vectorized backward pass through the trunk."""
    shared = [v.value for v in problem.trunk.trainable_variables]
    with tf.GradientTape(persistent=True) as tape:
        features = problem.trunk(x, training=True)
    losses, seeds, own = {}, [], {}
    for task, head in problem.heads.items():
        heads = [v.value for v in head.trainable_variables]
        with tf.GradientTape() as head_tape:
            head_tape.watch(features)
            losses[task] = problem.losses[task](y[task], head(features))
        seed, *own[task] = head_tape.gradient(losses[task], [features, *heads])
        seeds.append(seed)
    stacks = tf.vectorized_map(
        lambda seed: tape.gradient(features, shared, seed), tf.stack(seeds)
    )
    rows = [[stack[k] for stack in stacks] for k in range(len(seeds))]
    return losses, rows, own


def add(rows):
    return [tf.add_n(gradients) for gradients in zip(*rows, strict=True)]


def moved(variables, gradients, rho):
    norm = tf.linalg.global_norm(gradients)
    return [
        variable.value + rho / (norm + 1e-12) * gradient
        for variable, gradient in zip(variables, gradients, strict=True)
    ]


def compiled(problem, update):
    """A function that makes one step, as Keras's trainer compiles it."""
    variables = list(problem.trunk.trainable_variables)
    for head in problem.heads.values():
        variables += head.trainable_variables
    optimizer = problem.optimizer()
    optimizer.build(variables)

    @tf.function
    def train(iterator):
        x, y = iterator.get_next()
        losses, gradients, own = update(x, y)
        for task in problem.heads:
            gradients = [*gradients, *own[task]]
        optimizer.apply(gradients, variables)
        return losses

    iterator = repeat_batch(problem)

    def step():
        [loss.numpy() for loss in train(iterator).values()]

    return step


def describe():
    return f"tensorflow {tf.__version__}, keras {keras.__version__}"
