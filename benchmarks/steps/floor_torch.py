"""The least that a hand-written torch loop does."""

import itertools

import keras
import torch


def repeat_batch(problem):
    """An endless iterator over one batch, on the device."""
    batch = (
        torch.as_tensor(problem.x),
        {task: torch.as_tensor(labels) for task, labels in problem.y.items()},
    )
    return itertools.repeat([batch])


def trainer_step(model, problem):
    """One step of Keras's trainer, through the function that `fit` calls."""
    model.train_on_batch(problem.x, problem.y)
    model.make_train_function()
    iterator = repeat_batch(problem)

    def step():
        logs = model.train_function(next(iterator))
        [value.item() for value in logs.values()]

    return step


def gradient_step(problem, batched=False):
    """One forward pass, K backward passes, the sum, the optimizer."""

    def update(x, y):
        gradients_of = batched_task_gradients if batched else task_gradients
        losses, rows, own = gradients_of(problem, x, y)
        return losses, add(rows), own

    return looped(problem, update)


def flat_step(problem, rho):
    """The same, and a perturbed pass of trunk and one head for each task."""

    def update(x, y):
        shared = [v.value for v in problem.trunk.trainable_variables]
        losses, rows, own = task_gradients(problem, x, y)
        sharp_rows, sharp_own = [], {}
        for (task, head), row in zip(problem.heads.items(), rows, strict=True):
            heads = [v.value for v in head.trainable_variables]
            offsets = [*scaled(row, rho), *scaled(own[task], rho)]
            values = [*shared, *heads]
            with torch.no_grad():
                torch._foreach_add_(values, offsets)
            outputs = head(problem.trunk(x, training=True))
            loss = problem.losses[task](y[task], outputs)
            gradients = torch.autograd.grad(loss, values)
            with torch.no_grad():
                torch._foreach_sub_(values, offsets)
            sharp_rows.append(gradients[: len(shared)])
            sharp_own[task] = gradients[len(shared) :]
        return losses, add(sharp_rows), sharp_own

    return looped(problem, update)


def task_gradients(problem, x, y):
    """Losses, and gradients of trunk and heads by task."""
    shared = [v.value for v in problem.trunk.trainable_variables]
    features = problem.trunk(x, training=True)
    losses = {
        task: problem.losses[task](y[task], head(features))
        for task, head in problem.heads.items()
    }
    rows, own = [], {}
    last = list(losses)[-1]
    for task, head in problem.heads.items():
        heads = [v.value for v in head.trainable_variables]
        gradients = torch.autograd.grad(
            losses[task], [*shared, *heads], retain_graph=task != last
        )
        rows.append(gradients[: len(shared)])
        own[task] = gradients[len(shared) :]
    return losses, rows, own


def batched_task_gradients(problem, x, y):
    """The same, with one vectorized backward pass through the trunk."""
    shared = [v.value for v in problem.trunk.trainable_variables]
    features = problem.trunk(x, training=True)
    cut = features.detach().requires_grad_()
    losses, seeds, own = {}, [], {}
    for task, head in problem.heads.items():
        heads = [v.value for v in head.trainable_variables]
        losses[task] = problem.losses[task](y[task], head(cut))
        seed, *own[task] = torch.autograd.grad(losses[task], [cut, *heads])
        seeds.append(seed)
    stacks = torch.autograd.grad(
        features, shared, torch.stack(seeds), is_grads_batched=True
    )
    rows = [[stack[k] for stack in stacks] for k in range(len(seeds))]
    return losses, rows, own


def add(rows):
    total = [gradient.clone() for gradient in rows[0]]
    for row in rows[1:]:
        torch._foreach_add_(total, row)
    return total


def scaled(gradients, rho):
    norm = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(gradients)))
    return torch._foreach_mul(gradients, rho / (norm + 1e-12))


def looped(problem, update):
    """A function that makes one step."""
    variables = list(problem.trunk.trainable_variables)
    for head in problem.heads.values():
        variables += head.trainable_variables
    optimizer = problem.optimizer()
    optimizer.build(variables)
    iterator = repeat_batch(problem)

    def step():
        ((x, y),) = next(iterator)
        losses, gradients, own = update(x, y)
        for task in problem.heads:
            gradients = [*gradients, *own[task]]
        with torch.no_grad():
            optimizer.apply(gradients, variables)
        [loss.item() for loss in losses.values()]

    return step


def describe():
    return f"torch {torch.__version__}, keras {keras.__version__}"
