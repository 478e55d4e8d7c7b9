"""SPAR mapper API: ``main.py migrate`` makes its tables, ``main.py run`` serves."""

from openg2p_runtime import api, connections, mounted  # noqa: F401  connections must come before the packages

mounted.database("SPAR_MAPPER_", "postgresql+asyncpg")
mounted.setting("SPAR_MAPPER_OAUTH_CLIENT_SECRET", "OAUTH_CLIENT_SECRET_FILE")

from openg2p_spar_mapper_api.app import Initializer  # noqa: E402

initializer = Initializer()
api.add_ping()
app = initializer.return_app()
api.require_signatures(app, unsigned={"/ping"})

if __name__ == "__main__":
    initializer.main()
