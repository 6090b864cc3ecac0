"""Stands for a worker process, in this one."""

from keras_mtl.comparison.import_path import import_object


class LocalWorker:
    """Does at once what it is given."""

    started: list["LocalWorker"] = []

    def __init__(self, backend, task, messages):
        self.backend, self.messages = backend, messages
        kind = import_object("work", task["work"])
        self.work = kind.from_arguments(task["arguments"])
        self.given, self.job, self.refusal = [], None, None
        self.status = None
        self.started.append(self)
        self.say("ready", identity=self.identity())

    def say(self, event, **content):
        self.messages.put((self, {"event": event, **content}))

    def identity(self):
        return {}

    def content(self, job):
        """What goes into the job's file, `None` if the worker is killed."""
        return self.work.do(job, None)

    def give(self, job):
        self.job = job
        if job is None:
            self.say("done")
            self.say("exit")
            return
        self.given.append(job)
        content = self.content(job)
        if content is None:
            self.status = "Killed."
            self.say("exit")
            return
        self.work.folder.write(self.work.folder.file_of(job), content)
        self.say("end")

    def failure(self):
        return self.status

    def finish(self):
        assert self.status is None

    def refuse(self, reason):
        self.status = reason
        self.say("exit")

    def stop(self):
        self.status = "Stopped."


class TrainingWorker(LocalWorker):
    """Trains, as a process of its own would."""

    def identity(self):
        return self.work.prepare()

    def content(self, job):
        def after_epoch(epoch, logs):
            self.say("epoch", epoch=epoch, logs=logs)

        return self.work.do(job, after_epoch)
