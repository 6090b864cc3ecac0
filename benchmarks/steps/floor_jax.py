"""The least that a hand-written JAX loop does."""

import itertools

import jax
import jax.numpy as jnp
import keras


def repeat_batch(problem):
    """An endless iterator over one batch, on the device."""
    return itertools.repeat(
        (jnp.asarray(problem.x), jax.tree.map(jnp.asarray, problem.y))
    )


def trainer_step(model, problem):
    """One step of Keras's trainer, through the function that `fit` calls."""
    model.train_on_batch(problem.x, problem.y)
    model.make_train_function()
    groups = (
        model.trainable_variables,
        model.non_trainable_variables,
        model.optimizer.variables,
        model.metrics_variables,
    )
    state = tuple([jnp.array(v.value) for v in group] for group in groups)
    iterator = repeat_batch(problem)

    def step():
        nonlocal state
        logs, state = model.train_function(state, iterator)
        jax.block_until_ready((logs, state))

    return step


def gradient_step(problem, batched=False):
    """One forward pass, K backward passes, the sum, the optimizer."""

    def update(shared, own, x, y):
        losses, rows, own_gradients = task_gradients(
            problem, shared, own, x, y, batched
        )
        return losses, add(rows), own_gradients

    return compiled(problem, update)


def flat_step(problem, rho):
    """The same, and a perturbed pass of trunk and one head for each task."""

    def update(shared, own, x, y):
        losses, rows, own_gradients = task_gradients(problem, shared, own, x, y)
        sharp_rows, sharp_own = [], {}
        for task, row in zip(own, rows, strict=True):

            def loss_of(shared, own, task=task):
                features = call(problem.trunk, shared, x, training=True)
                return head_loss(problem, task, own, features, y)

            near = moved(shared, row, rho)
            near_own = moved(own[task], own_gradients[task], rho)
            sharp, sharp_own[task] = jax.grad(loss_of, argnums=(0, 1))(
                near, near_own
            )
            sharp_rows.append(sharp)
        return losses, add(sharp_rows), sharp_own

    return compiled(problem, update)


def call(layer, values, inputs, **kwargs):
    state = [jnp.array(v.value) for v in layer.non_trainable_variables]
    outputs, _ = layer.stateless_call(values, state, inputs, **kwargs)
    return outputs


def head_loss(problem, task, own, features, y):
    outputs = call(problem.heads[task], own, features)
    return problem.losses[task](y[task], outputs)


def task_gradients(problem, shared, own, x, y, batched=False):
    """Losses, and gradients of trunk and heads by task.

    With `batched`, one backward pass through the trunk for all, by `jax.vmap`.
    """
    features, pull_trunk = jax.vjp(
        lambda values: call(problem.trunk, values, x, training=True), shared
    )
    losses, seeds, own_gradients = {}, [], {}
    for task in own:

        def loss_of(values, features, task=task):
            return head_loss(problem, task, values, features, y)

        losses[task], (own_gradients[task], at_features) = jax.value_and_grad(
            loss_of, argnums=(0, 1)
        )(own[task], features)
        seeds.append(at_features)
    if batched:
        (stacks,) = jax.vmap(pull_trunk)(jnp.stack(seeds))
        rows = [[stack[k] for stack in stacks] for k in range(len(seeds))]
    else:
        rows = [pull_trunk(seed)[0] for seed in seeds]
    return losses, rows, own_gradients


def add(rows):
    return [
        sum(gradients[1:], gradients[0])
        for gradients in zip(*rows, strict=True)
    ]


def moved(values, gradients, rho):
    norm = jnp.sqrt(sum(jnp.sum(jnp.square(g)) for g in gradients))
    return [
        value + rho / (norm + 1e-12) * gradient
        for value, gradient in zip(values, gradients, strict=True)
    ]


def compiled(problem, update):
    """A function that makes one step, as Keras's trainer compiles it."""
    tasks = list(problem.heads)
    variables = list(problem.trunk.trainable_variables)
    num_shared = len(variables)
    sizes = {}
    for task, head in problem.heads.items():
        sizes[task] = len(head.trainable_variables)
        variables += head.trainable_variables
    optimizer = problem.optimizer()
    optimizer.build(variables)

    def train(state, batch):
        values, slots = state
        x, y = batch
        shared, rest = values[:num_shared], values[num_shared:]
        own = {}
        for task in tasks:
            own[task], rest = rest[: sizes[task]], rest[sizes[task] :]
        losses, gradients, own_gradients = update(shared, own, x, y)
        for task in tasks:
            gradients = [*gradients, *own_gradients[task]]
        values, slots = optimizer.stateless_apply(slots, gradients, values)
        return losses, (values, slots)

    train = jax.jit(train, donate_argnums=0)
    state = (
        [jnp.array(v.value) for v in variables],
        [jnp.array(v.value) for v in optimizer.variables],
    )
    iterator = repeat_batch(problem)

    def step():
        nonlocal state
        losses, state = train(state, next(iterator))
        jax.block_until_ready((losses, state))

    return step


def describe():
    return f"jax {jax.__version__}, keras {keras.__version__}"
