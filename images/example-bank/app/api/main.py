"""Example Bank API: ``main.py migrate`` makes its tables and the sponsors' accounts, ``main.py run`` serves.

The bank knows no signatures; network policies let the Bridge's workers in and nobody else.
"""

from pathlib import Path

from openg2p_runtime import api, connections, mounted  # noqa: F401  connections must come before the packages

mounted.database("EXAMPLE_BANK_", "postgresql+asyncpg")
mounted.broker("EXAMPLE_BANK_")

from openg2p_g2p_bridge_example_bank_api.app import Initializer as Package  # noqa: E402

ACCOUNTS = Path("/etc/example-bank/accounts.json")


class Initializer(Package):
    """The package's initializer, which also opens the accounts that payments are made from."""

    def migrate_database(self, args):
        super().migrate_database(args)
        if ACCOUNTS.exists():
            from accounts import open_accounts

            open_accounts(ACCOUNTS)


initializer = Initializer()
api.add_ping()
app = initializer.return_app()

if __name__ == "__main__":
    initializer.main()
