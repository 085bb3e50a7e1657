"""What the edge itself does: limits, TLS, answers of its own."""

import contextlib
import json
import socket
import ssl
import subprocess
import urllib.request
from pathlib import Path

import pytest

from integration.gateway.stand import Stand, standing, wait_until
from weave_nn.gateway.envoy.edge import Limits, Tls
from weave_nn.gateway.envoy.routes import SERVED_PATH


def certificate(folder: Path, name: str) -> None:
    fresh = folder / "fresh"
    fresh.mkdir()
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={name}",
         "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", fresh / "front.key", "-out", fresh / "front.crt"],
        check=True, capture_output=True,
    )  # fmt: skip
    (fresh / "front.key").replace(folder / "front.key")
    (fresh / "front.crt").replace(folder / "front.crt")
    fresh.rmdir()


def test_who_asks_too_often_is_told_when_to_come_again_and_others_are_not(tmp_path: Path) -> None:
    with standing(tmp_path, Limits(requests_per_second_of_user=3)) as stand:
        stand.plan()
        answers = [stand.ask("/tasks/1", "u1") for _ in range(40)]
        refused = [each for each in answers if each.status == 429]
        assert refused
        assert answers[0].status == 200
        assert refused[0].headers["retry-after"] == "1"
        assert refused[0].headers["content-type"] == "application/problem+json"
        assert json.loads(refused[0].body)["status"] == 429
        assert stand.ask("/tasks/1", "u2").status == 200
        # A second key of the same user is the same user.
        assert 429 in {stand.ask("/tasks/1", "u1#phone").status for _ in range(40)}


def test_an_address_is_limited_before_anybody_is_asked_who_calls(tmp_path: Path) -> None:
    with standing(tmp_path, Limits(requests_per_second_of_address=3)) as stand:
        statuses = [stand.ask("/tasks/1", f"wrong-{number}").status for number in range(40)]
        assert 429 in statuses
        assert len(stand.control_service.paths()) < 40


def test_waiting_for_a_change_uses_up_nobodys_limit(tmp_path: Path) -> None:
    with standing(tmp_path, Limits(requests_per_second_of_address=1, requests_per_second_of_user=1)) as stand:
        assert {stand.ask(SERVED_PATH).status for _ in range(40)} == {204}
        assert stand.ask("/files/a.md", "u1").status == 200


def test_what_is_too_large_is_refused_as_a_problem(tmp_path: Path) -> None:
    with standing(tmp_path, Limits(body_bytes=1000, header_kilobytes=8)) as stand:
        large = stand.ask("/tasks", "u1", "POST", Content_Length="1001")
        assert large.status == 413
        assert json.loads(large.body)["detail"] == "The body is longer than 1000 bytes."
        assert stand.ask("/tasks", "u1", X_Long="x" * 10_000).status == 431
        assert not stand.stable.paths()


def test_connections_beyond_the_limit_are_closed_and_the_control_plane_still_gets_in(tmp_path: Path) -> None:
    with standing(tmp_path, Limits(connections=20)) as stand, contextlib.ExitStack() as open_ones:
        held = [open_ones.enter_context(socket.create_connection(("127.0.0.1", stand.place.port))) for _ in range(40)]
        for each in held:
            each.settimeout(60)
            with contextlib.suppress(OSError):
                each.sendall(b"GET /tasks/1 HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer u1\r\n\r\n")
        answered = [_first_bytes(each) for each in held]
        assert 0 < answered.count(b"HTTP/1.1") <= 20
        assert b"" in answered
        stand.plan()
        assert stand.control.version == stand.rollouts.version()


def _first_bytes(connection: socket.socket) -> bytes:
    try:
        return connection.recv(8)
    except ConnectionError:
        return b""


def test_a_service_that_is_away_is_a_problem_document(stand: Stand) -> None:
    stand.close(stand.stable)
    away = stand.ask("/files/a.md", "u1")
    assert away.status == 503
    assert away.headers["content-type"] == "application/problem+json"
    assert json.loads(away.body)["title"] == "Answered by the gateway"


def test_the_certificate_can_be_replaced_while_the_edge_serves(tmp_path: Path) -> None:
    folder = tmp_path / "certificates"
    folder.mkdir()
    certificate(folder, "first")
    tls = Tls(certificate=str(folder / "front.crt"), key=str(folder / "front.key"))

    def presented(stand: Stand) -> str:
        pem = ssl.get_server_certificate(("127.0.0.1", stand.place.port))
        shown = subprocess.run(
            ["openssl", "x509", "-noout", "-subject"], input=pem, capture_output=True, text=True, check=True
        )
        return shown.stdout.strip()

    with standing(tmp_path, tls=tls) as stand:
        trusting = ssl.create_default_context(cafile=tls.certificate)
        with urllib.request.urlopen(
            f"https://127.0.0.1:{stand.place.port}/health", context=trusting, timeout=60
        ) as response:
            assert response.read() == b"stable"
        assert presented(stand).endswith("first")
        certificate(folder, "second")
        wait_until(lambda: presented(stand).endswith("second"))


@pytest.mark.parametrize("header", ["x-weave-user", "x-weave-pin"])
def test_what_is_ours_never_comes_from_outside(stand: Stand, header: str) -> None:
    stand.plan()
    stand.ask("/files/a.md", "wrong", **{header.replace("-", "_"): "forged"})
    assert header not in stand.stable.asked[-1].headers
