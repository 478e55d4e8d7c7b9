"""Opens the sponsors' accounts. The bank has no call for it, and a bank without a sponsor's account can pay nobody."""

import json
from pathlib import Path

import psycopg2
from openg2p_runtime import mounted


def open_accounts(path: Path) -> None:
    """Opens each account of the JSON list at ``path`` that does not exist; an existing one keeps its balance."""
    accounts = json.loads(path.read_text(encoding="utf-8"))
    credentials = Path(mounted.needed("DATABASE_CREDENTIALS"))
    connection = psycopg2.connect(
        host=mounted.needed("DATABASE_HOST"),
        port=mounted.needed("DATABASE_PORT"),
        dbname=mounted.needed("DATABASE_NAME"),
        user=mounted.read(credentials / "username"),
        password=mounted.read(credentials / "password"),
    )
    try:
        with connection, connection.cursor() as cursor:
            for account in accounts:
                # There is no unique index on the number, so that ON CONFLICT cannot be used.
                cursor.execute(
                    """insert into accounts (account_holder_name, account_number, account_currency, account_holder_phone,
                           account_holder_email, book_balance, available_balance, blocked_amount, active, created_at)
                       select %(holder)s, %(number)s, %(currency)s, %(phone)s, %(email)s, %(balance)s, %(balance)s, 0, true, now()
                       where not exists (select from accounts where account_number = %(number)s)""",
                    account,
                )
                state = "opened" if cursor.rowcount else "exists already"
                print(f"account {account['number']}: {state}", flush=True)
    except psycopg2.errors.UniqueViolation as error:
        raise SystemExit(
            f"bank::account-refused: cannot open account {account['number']}: {error.diag.message_detail} "
            "Give every account its own phone and email."
        ) from None
    finally:
        connection.close()
