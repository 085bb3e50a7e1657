import socket

import pytest

from weave_nn.entrypoints.cli.listening import PortTaken, address, listen
from weave_nn.shared.errors import InvalidInput


def test_a_free_port_is_found_and_the_address_leads_to_it() -> None:
    with listen("127.0.0.1", 0) as listener:
        port = int(address(listener).removeprefix("http://127.0.0.1:"))
        socket.create_connection(("127.0.0.1", port)).close()


def test_a_taken_port_is_refused_with_the_way_out() -> None:
    with listen("127.0.0.1", 0) as listener:
        port = listener.getsockname()[1]
        with pytest.raises(PortTaken, match=rf"Port {port} on 127\.0\.0\.1 is taken.*--port"):
            listen("127.0.0.1", port)


def test_a_port_is_free_again_at_once_after_the_server_has_gone() -> None:
    with listen("127.0.0.1", 0) as listener:
        port = listener.getsockname()[1]
        client = socket.create_connection(("127.0.0.1", port))
        accepted, _ = listener.accept()
        accepted.close()
    client.close()
    listen("127.0.0.1", port).close()


@pytest.mark.parametrize("host", ["no-such-host.invalid", "192.0.2.1", "a" * 70 + ".example", "not a host"])
def test_a_host_that_is_not_of_this_machine_is_refused(host: str) -> None:
    with pytest.raises(InvalidInput, match=r"127\.0\.0\.1") as caught:
        listen(host, 0)
    assert caught.value.fields["field"] == "host"


def test_the_address_of_every_network_is_one_that_a_browser_here_can_open() -> None:
    with listen("0.0.0.0", 0) as listener:  # noqa: S104 - what is shown for it is the point of the test
        assert address(listener).startswith("http://127.0.0.1:")


@pytest.mark.skipif(not socket.has_ipv6, reason="this machine has no IPv6")
def test_an_ipv6_address_stands_in_brackets() -> None:
    try:
        listener = listen("::1", 0)
    except InvalidInput:
        pytest.skip("this machine has no IPv6 loopback")
    with listener:
        assert address(listener).startswith("http://[::1]:")
