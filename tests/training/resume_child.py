"""Training that goes on from its checkpoint, and kills itself if told to.

`python -m tests.training.resume_child CHECKPOINT STRATEGY FOLDER [MOMENT]`
trains to the end, from wherever the checkpoint in the folder has got to, and
writes all state to `state.npz`. A moment is `batch:N`, the end of the N-th
batch that this process trains, or `save:N`, the N-th call of a function while
it saves its second checkpoint.

Without arguments it reads them, a JSON list a line, and does each in a process
of its own, which has not to import everything again.
"""

import json
import os
import signal
import sys
from pathlib import Path

import keras
import numpy as np

from keras_mtl import aggregators
from keras_mtl import strategies
from tests.training import state_child

EPOCHS, STEPS = 10, 3

STRATEGIES = {
    "fs_mtl": lambda: strategies.FSMTL("pcgrad"),
    "db_mtl": strategies.DBMTL,
    "famo": lambda: strategies.get("famo"),
    "moco": lambda: strategies.get(aggregators.MoCo()),
    "grad_norm": lambda: strategies.get(aggregators.GradNorm()),
}


class Epochs(keras.utils.PyDataset):
    """Batches that depend on the numbers of epoch and step alone."""

    def __init__(self):
        super().__init__()
        self.epoch = 0

    def __len__(self):
        return STEPS

    def __getitem__(self, index):
        return state_child.batch(STEPS * self.epoch + index)


class Teller(keras.callbacks.Callback):
    """Tells the data which epoch it is."""

    def __init__(self, data):
        super().__init__()
        self.data = data

    def on_epoch_begin(self, epoch, logs=None):
        self.data.epoch = epoch


class Killer(keras.callbacks.Callback):
    """Kills the process at the end of a batch, by the same signal as `kill -9`.

    Args:
        batch: How many batches before.
    """

    def __init__(self, batch):
        super().__init__()
        self.left = batch

    def on_train_batch_end(self, batch, logs=None):
        self.left -= 1
        if self.left == 0:
            kill()


def kill():
    os.kill(os.getpid(), signal.SIGKILL)


class Saving:
    """Counts calls of functions within the second call of what saves.

    Args:
        save: The method of the model.
        last: The number of the call at which the process is killed, or `None`.
    """

    def __init__(self, save, last):
        self.save = save
        self.last = last
        self.saved = 0
        self.calls = 0

    def __call__(self, *args, **kwargs):
        self.saved += 1
        if self.saved == 2:
            sys.setprofile(self.count)
        try:
            self.save(*args, **kwargs)
        finally:
            sys.setprofile(None)

    def count(self, frame, event, argument):
        self.calls += event in ("call", "c_call")
        if self.last is not None and self.calls >= self.last:
            kill()


def make(checkpoint, strategy, folder):
    """Returns a model, the epoch to go on with, and what saves."""
    keras.utils.set_random_seed(3)
    path = folder / f"at.{'keras' if checkpoint == 'model' else 'weights.h5'}"
    if checkpoint == "model" and path.exists():
        model = keras.models.load_model(path)
    else:
        model = state_child.make_model(STRATEGIES[strategy]())
        if path.exists():
            model.load_weights(path)
    if checkpoint == "backup":
        saver = keras.callbacks.BackupAndRestore(folder / "backup")
        return model, 0, saver
    saver = keras.callbacks.ModelCheckpoint(
        path, save_weights_only=checkpoint == "weights"
    )
    return model, model.checkpoint_record.finished_epochs or 0, saver


def main(checkpoint, strategy, folder, moment="never:0"):
    folder = Path(folder)
    model, epoch, saver = make(checkpoint, strategy, folder)
    when, number = moment.split(":")
    saving = "save" if checkpoint == "model" else "save_weights"
    counter = Saving(
        getattr(model, saving), int(number) if when == "save" else None
    )
    setattr(model, saving, counter)
    data = Epochs()
    callbacks = [Teller(data), saver]
    if when == "batch":
        callbacks.append(Killer(int(number)))
    model.fit(
        data,
        epochs=EPOCHS,
        initial_epoch=epoch,
        verbose=0,
        callbacks=callbacks,
        shuffle=False,
    )
    np.savez(folder / "state.npz", **state_child.state(model))
    (folder / "calls.txt").write_text(str(counter.calls))


def serve():
    """Answers each line by the exit code of the process that does it."""
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            main(*json.loads(line))
            os._exit(0)
        _, status = os.waitpid(pid, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:]) if len(sys.argv) > 1 else serve()
