"""G2P Bridge beat: looks for work at intervals and hands it to the workers. Exactly one may run."""

import functools

from openg2p_runtime import connections, mounted, tasks  # noqa: F401  connections must come before the packages

mounted.database("G2P_BRIDGE_CELERY_BEAT_", "postgresql")
mounted.broker("G2P_BRIDGE_CELERY_BEAT_")

from openg2p_g2p_bridge_celery_beat_producers.app import celery_app  # noqa: E402

# The producers send a task before they commit "in progress". A worker that fails at once (bank down) then reads and writes the
# old state, the commit comes last, and the row stays in progress for ever. One second is enough for the commit.
celery_app.send_task = functools.partial(celery_app.send_task, countdown=1)

if __name__ == "__main__":
    tasks.run(celery_app, name="g2p-bridge-beat", queues="celery", scheduler=True)
