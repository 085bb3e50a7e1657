import threading
from collections.abc import Iterator
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from pydantic import SecretStr

from weave_nn.entrypoints.cli.running import Answer, ask, known_address, recorded_address


class Server(BaseHTTPRequestHandler):
    """Answers with what it was asked, as far as the command line depends on it."""

    def do_GET(self) -> None:
        status = 200 if self.headers["Authorization"] == "Bearer secret" else 401
        body = b"not json" if self.path == "/text" else b'{"ready": true}'
        self.send_response(status)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Keep quiet."""


@pytest.fixture
def address() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), Server) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_answers_are_read_whatever_the_status(address: str) -> None:
    assert ask(address, "/ready", SecretStr("secret")) == Answer(HTTPStatus.OK, {"ready": True})
    assert ask(address, "/ready") == Answer(HTTPStatus.UNAUTHORIZED, {"ready": True})
    assert ask(address, "/text", SecretStr("secret")) == Answer(HTTPStatus.OK, None)


def test_a_proxy_of_the_environment_sees_nothing(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    assert ask(address, "/ready", SecretStr("secret")) == Answer(HTTPStatus.OK, {"ready": True})


def test_nobody_there_is_not_an_error() -> None:
    assert ask("http://127.0.0.1:9", "/ready") is None


def test_the_address_is_known_while_the_server_runs(tmp_path: Path) -> None:
    with recorded_address(tmp_path, "http://127.0.0.1:1234"):
        assert known_address(tmp_path, "fallback") == "http://127.0.0.1:1234"
    assert known_address(tmp_path, "fallback") == "fallback"
    assert known_address(None, "fallback") == "fallback"


def test_a_record_that_is_no_address_is_not_believed(tmp_path: Path) -> None:
    (tmp_path / "address").write_text("file:///etc/passwd", encoding="ascii")
    assert known_address(tmp_path, "fallback") == "fallback"
