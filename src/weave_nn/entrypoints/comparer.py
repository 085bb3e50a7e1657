"""The shadow comparer's process, which the gateway starts: `python -m weave_nn.entrypoints.comparer`."""

import signal

import uvicorn

from weave_nn.entrypoints.composition import server_limits
from weave_nn.gateway.comparing.comparer import Comparer
from weave_nn.gateway.rollouts import Rollouts
from weave_nn.shared.config import load, prepare
from weave_nn.shared.db import Database
from weave_nn.shared.observability import configure_logging


def main() -> None:
    """Compare until SIGTERM. The gateway has brought the tables up before."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    settings = load({}).settings
    instance = prepare(settings)
    configure_logging("warning", "json")
    database = Database(instance.database_url, limits=server_limits(settings, "comparer"))
    comparer = Comparer(Rollouts(database, instance.vault_id), database, instance.vault_id)
    try:
        uvicorn.run(
            comparer.app,
            host="127.0.0.1",
            port=settings.gateway_comparer_port,
            log_config=None,
            access_log=False,
            timeout_graceful_shutdown=2,
        )
    finally:
        database.close()


if __name__ == "__main__":
    main()
