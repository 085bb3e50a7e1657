import socket

import pytest

from weave_nn.shared.http import CannotListen, listen


@pytest.mark.parametrize("host", ["no-such-host.invalid", "192.0.2.1", "a" * 70 + ".example", "not a host"])
def test_a_host_that_is_not_of_this_machine_is_refused(host: str) -> None:
    with pytest.raises(CannotListen, match=r"127\.0\.0\.1|address of this machine"):
        listen(host, 0)


def test_a_port_is_free_again_at_once_after_the_server_has_gone() -> None:
    listener = listen("127.0.0.1", 0)
    client = socket.create_connection(("127.0.0.1", listener.port))
    accepted, _ = listener.sockets[0].accept()
    accepted.close()
    listener.close()
    client.close()
    listen("127.0.0.1", listener.port).close()
