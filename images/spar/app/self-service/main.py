"""SPAR self-service API: ``main.py migrate`` makes its tables, ``main.py run`` serves.

Its callers are people with a token of the login provider, checked by the package itself; partners' signatures have no place here.
"""

from openg2p_runtime import api, connections, mounted  # noqa: F401  connections must come before the packages

mounted.database("SPAR_SELFSERVICE_", "postgresql+asyncpg")
mounted.setting("SPAR_SELFSERVICE_PRIVATE_KEY", "PRIVATE_KEY_FILE")

from openg2p_spar_self_service_api.app import Initializer  # noqa: E402

initializer = Initializer()
api.add_ping()
app = initializer.return_app()

if __name__ == "__main__":
    initializer.main()
