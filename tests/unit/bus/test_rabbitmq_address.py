import pika
import pytest

from weave_nn.shared.bus.rabbitmq.address import explained, parse_address
from weave_nn.shared.bus.rabbitmq.topology import REST_SECONDS, rest_level
from weave_nn.shared.errors import InvalidInput


def test_a_url_names_hosts_a_virtual_host_and_a_user() -> None:
    address = parse_address("amqp://weave:p%40ss@one,two:5673,[::1]:5674/notes%2Fmine?heartbeat=5&prefix=home.")
    assert address.hosts == (("one", 5672), ("two", 5673), ("::1", 5674))
    assert (address.virtual_host, address.prefix, address.user) == ("notes/mine", "home.", "weave")
    assert {each.heartbeat for each in address.parameters} == {5}
    assert {each.port for each in address.shuffled()} == {5672, 5673, 5674}
    credentials = address.parameters[0].credentials
    assert isinstance(credentials, pika.PlainCredentials)
    assert credentials.password == "p@ss"


@pytest.mark.parametrize("url", ["amqp://localhost", "amqp://localhost/", "amqp://localhost?heartbeat=5"])
def test_what_is_not_said_is_usual(url: str) -> None:
    address = parse_address(url)
    assert (address.hosts, address.virtual_host, address.user) == ((("localhost", 5672),), "/", "guest")
    assert address.parameters[0].ssl_options is None


def test_amqps_is_tls_that_checks_the_server() -> None:
    options = parse_address("amqps://broker.example/").parameters[0].ssl_options
    assert options is not None
    assert options.server_hostname == "broker.example"
    assert options.context.check_hostname
    lenient = parse_address("amqps://broker.example/?verify=verify_none").parameters[0].ssl_options
    assert lenient is not None
    assert not lenient.context.check_hostname


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://localhost", "does not begin with amqp"),
        ("localhost:5672", "does not begin with amqp"),
        ("amqp://local host:x/", "is not a host"),
        ("amqp://localhost/a/b", "write it as %2F"),
        ("amqp://localhost/a?colour=red", "no option colour"),
        ("amqp://localhost/a?prefix=a*b", "prefix may have"),
        ("amqp://localhost/a?heartbeat=soon", "invalid literal"),
        ("amqps://localhost/a?cacertfile=/nowhere/ca.pem", "No such file"),
        ("amqps://localhost/a?verify=perhaps", "verify_peer or verify_none"),
    ],
)
def test_what_is_no_url_is_refused_with_the_reason_and_without_the_password(url: str, reason: str) -> None:
    with pytest.raises(InvalidInput, match=reason):
        parse_address(url)
    with pytest.raises(InvalidInput) as refused:
        parse_address(url.replace("://", "://user:secret@"))
    assert "secret" not in str(refused.value) or "://" not in url


def test_a_failure_never_tells_the_password() -> None:
    address = parse_address("amqp://weave:secret@localhost/notes")
    shown = str(explained(address, ConnectionRefusedError("refused")))
    assert "localhost:5672 (virtual host 'notes')" in shown
    assert "secret" not in shown


@pytest.mark.parametrize(
    ("seconds", "level"), [(0.0, "2s"), (2.0, "2s"), (2.1, "15s"), (60.0, "2m"), (450.0, "long"), (1e9, "long")]
)
def test_a_rest_stands_behind_none_that_is_much_longer(seconds: float, level: str) -> None:
    assert rest_level(seconds) == level
    assert REST_SECONDS[level] >= seconds
