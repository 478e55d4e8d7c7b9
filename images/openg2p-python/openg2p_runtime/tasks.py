"""The Celery processes: one worker in one process, probed by a heartbeat file, stopped gracefully."""

import functools
import logging
import os
import threading
import time
from pathlib import Path

from celery import beat, bootsteps, signals
from celery.worker import state

_heartbeat = Path(os.environ.get("HEARTBEAT_FILE", "/tmp/heartbeat"))
_task_seconds = float(os.environ.get("TASK_SECONDS", "900"))
_beat_interval = 5.0


def _alive_until(moment: float) -> None:
    _heartbeat.touch()
    os.utime(_heartbeat, (moment, moment))


class _Heartbeat(bootsteps.StartStopStep):
    """Touches the heartbeat file from the worker's own event loop, so that a stuck loop leaves it to grow old."""

    requires = {"celery.worker.components:Timer"}

    def __init__(self, worker, **settings):
        super().__init__(worker, **settings)
        self.timer = None

    def start(self, worker):
        _heartbeat.unlink(missing_ok=True)
        self.timer = worker.timer.call_repeatedly(_beat_interval, self._tick, (worker,), priority=10)

    def stop(self, worker):
        if self.timer:
            self.timer.cancel()

    @staticmethod
    def _tick(worker):
        # A worker without its scheduler answers and does nothing. Let the probe end it.
        schedulers = [thread for thread in threading.enumerate() if isinstance(thread, beat._Threaded)]
        if worker.beat and not schedulers:
            return
        if _heartbeat.exists():
            _alive_until(time.time())


@signals.worker_ready.connect
def _ready(**_):
    _alive_until(time.time())


@signals.task_prerun.connect
def _task_started(**_):
    # A task runs in the loop's own thread, which cannot tick meanwhile. The file's time is then the latest moment at which the
    # task may still be running.
    _alive_until(time.time() + _task_seconds)


@signals.task_postrun.connect
def _task_ended(**_):
    _alive_until(time.time())


def only_if(task, wanted) -> None:
    """Lets ``task`` run only if ``wanted``, called with the same arguments, says that its work is still to be done.

    A message can come twice: a scheduler asks again before the first answer, a broker delivers again after an hour. For a task that
    moves money, twice is once too often.
    """
    perform = task.run

    @functools.wraps(perform)
    def guarded(*arguments, **settings):
        if wanted(*arguments, **settings):
            return perform(*arguments, **settings)
        logging.getLogger(__name__).warning("%s%r: done already or not asked for, left alone", task.name, arguments)
        return None

    task.run = guarded


def run(app, name: str, queues: str, scheduler: bool) -> None:
    """Runs one Celery worker, with the scheduler inside when ``scheduler`` is set, until it is told to stop."""
    app.steps["worker"].add(_Heartbeat)
    # Nobody reads results; at one tick in five seconds they would be some hundred thousand keys in Redis.
    app.conf.task_ignore_result = True
    for task in app.tasks.values():
        # Those that were imported before this line have their answer already.
        task.ignore_result = True
    # A worker that is killed gives its reserved tasks back only after an hour: reserve as few as possible.
    app.conf.worker_prefetch_multiplier = 1
    # Redis may start after this process, or restart: wait for it instead of dying.
    app.conf.broker_connection_retry_on_startup = True
    app.conf.broker_connection_max_retries = None
    arguments = [
        "worker",
        "--loglevel", os.environ.get("LOG_LEVEL", "info"),
        "--hostname", f"{name}@%h",
        "--queues", queues,
        # One process, no children: the services are scaled by pods, and a child would double the memory.
        "--pool", "solo",
        "--concurrency", "1",
        "--without-gossip",
        "--without-mingle",
        "--without-heartbeat",
    ]
    if scheduler:
        # As a thread: as a process of its own it costs 45 MiB and can die unseen.
        beat._Process = None
        # In memory: there is nothing to remember about intervals of seconds, and the root file system is read-only.
        arguments += ["--beat", "--scheduler", "celery.beat:Scheduler"]
    try:
        app.worker_main(arguments)
    except SystemExit as end:
        status = end.code
    else:
        status = 0
    if not status and state.should_stop is None and state.should_terminate is None:
        # kombu loses its footing when Redis goes away at a bad moment, and Celery then ends as if all were well. The pod is
        # started again either way; the status should tell the truth.
        raise SystemExit("runtime::worker-ended: the Celery worker ended without being told to; see the log above")
    raise SystemExit(status)
