"""A server whose PostgreSQL stops and comes back, while people and programs go on."""

from pathlib import Path

from e2e.server import Server, wait_until
from postgres import OwnPostgres


def test_a_server_outlives_its_database_and_misses_nothing(tmp_path: Path, own_postgres: OwnPostgres) -> None:
    vault = tmp_path / "vault"
    vault.mkdir()
    (vault / "here.md").write_text("# Here\n")
    url = own_postgres.url.set(drivername="postgresql").render_as_string(hide_password=False)
    server = Server(vault, tmp_path / "state", {"DATABASE_URL": url, "WEAVE_GIT_AUTO_COMMIT": "false"}).start()
    try:
        own_postgres.stop()
        refused = server.request("PUT", "/files/new.md", b"# New\n")
        assert refused.status == 503
        assert refused.json["type"].endswith("database_unusable")
        assert not (vault / "new.md").exists()
        # What does not need the database goes on, and whoever sends requests is told to send them elsewhere.
        assert server.get("/files/here.md").body == b"# Here\n"
        assert server.get("/health").status == 200
        wait_until(lambda: server.get("/ready").status == 503)
        (vault / "by an editor.md").write_text("# Written while the archipelago was away\n")

        own_postgres.start()
        wait_until(lambda: server.get("/ready").status == 200)
        assert server.request("PUT", "/files/new.md", b"# New\n").status == 201
        wait_until(lambda: b"by an editor.md" in server.get("/search?q=archipelago").body)
    finally:
        assert server.stop() == 0
