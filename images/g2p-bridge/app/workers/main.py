"""G2P Bridge workers: resolve beneficiaries in SPAR, talk to the bank, read its statements."""

from openg2p_runtime import connections, mounted, tasks  # noqa: F401  connections must come before the packages

mounted.database("G2P_BRIDGE_CELERY_WORKERS_", "postgresql")
mounted.broker("G2P_BRIDGE_CELERY_WORKERS_")
mounted.setting("G2P_BRIDGE_CELERY_WORKERS_PRIVATE_KEY", "PRIVATE_KEY_FILE")

from openg2p_g2p_bridge_celery_workers.app import Initializer, celery_app, get_engine  # noqa: E402

# Registers the bank connectors, the SPAR client and the signer. The package leaves this to its caller; without it every task fails.
Initializer()

from openg2p_g2p_bridge_celery_workers.tasks import disburse_funds_from_bank_worker  # noqa: E402
from openg2p_g2p_bridge_models.models import BankDisbursementBatchStatus, ProcessStatus  # noqa: E402
from sqlalchemy import select  # noqa: E402

engine = get_engine()


def processing(batch: str) -> bool:
    """Has beat marked the batch as the one to be paid now, and has nobody paid it since?"""
    with engine.connect() as connection:
        status = connection.scalar(
            select(BankDisbursementBatchStatus.disbursement_status).where(
                BankDisbursementBatchStatus.bank_disbursement_batch_id == batch
            )
        )
    return status is ProcessStatus.PROCESSING


# A message that Redis delivers a second time (a worker was killed, an hour passed) would send the batch to the bank again.
tasks.only_if(disburse_funds_from_bank_worker, processing)

if __name__ == "__main__":
    tasks.run(celery_app, name="g2p-bridge-workers", queues="g2p_bridge_celery_worker_tasks", scheduler=False)
