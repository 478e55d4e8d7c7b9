"""Example Bank payments: books what it was told to pay and sends the statement to the Bridge.

Scheduler and worker are one process, and exactly one may run: the package reads a balance, changes it and writes it back without a
lock. Two workers would lose money or make some.
"""

from openg2p_runtime import connections, mounted, tasks  # noqa: F401  connections must come before the packages

mounted.database("EXAMPLE_BANK_CELERY_", "postgresql")
mounted.broker("EXAMPLE_BANK_CELERY_")

from openg2p_g2p_bridge_example_bank_celery.app import celery_app, get_engine  # noqa: E402
from openg2p_g2p_bridge_example_bank_celery.tasks import process_payments_worker  # noqa: E402
from openg2p_g2p_bridge_example_bank_models.models import InitiatePaymentBatchRequest, PaymentStatus  # noqa: E402
from sqlalchemy import select  # noqa: E402

engine = get_engine()


def pending(batch: str) -> bool:
    """Is the batch still to be paid?"""
    with engine.connect() as connection:
        status = connection.scalar(
            select(InitiatePaymentBatchRequest.payment_status).where(InitiatePaymentBatchRequest.batch_id == batch)
        )
    return status is PaymentStatus.PENDING


# The scheduler sends every pending batch at every tick, also one that waits behind another; the package would pay it once per message.
tasks.only_if(process_payments_worker, pending)

if __name__ == "__main__":
    tasks.run(celery_app, name="example-bank", queues="celery,g2p_bridge_celery_worker_tasks", scheduler=True)
