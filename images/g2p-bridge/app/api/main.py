"""G2P Bridge API: ``main.py migrate`` makes the tables of all its processes, ``main.py run`` serves."""

from openg2p_runtime import api, connections, mounted  # noqa: F401  connections must come before the packages

mounted.database("G2P_BRIDGE_", "postgresql+asyncpg")
mounted.setting("G2P_BRIDGE_OAUTH_CLIENT_SECRET", "OAUTH_CLIENT_SECRET_FILE")

from openg2p_g2p_bridge_api.app import Initializer  # noqa: E402

initializer = Initializer()
api.add_ping()
app = initializer.return_app()
# The bank uploads its statements as a form without a signature, which nothing could verify. Only a network policy stands before
# this path: the bank's own pod may reach it, the site's edge does not pass it on.
api.require_signatures(app, unsigned={"/ping", "/upload_mt940"})

if __name__ == "__main__":
    initializer.main()
