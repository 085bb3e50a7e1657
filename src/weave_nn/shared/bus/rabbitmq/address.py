"""Where the broker is: `RABBITMQ_URL`, parsed, and connections to it with their failures explained."""

import os
import random
import re
import ssl
import urllib.parse
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import pika
from pika import exceptions
from pika.adapters.blocking_connection import BlockingChannel

from weave_nn.shared.errors import InvalidInput, Unavailable, WeaveError

HEARTBEAT_SECONDS = 15
CONNECT_SECONDS = 5
HANDSHAKE_SECONDS = 10
# Unacknowledged data for longer than this means that the other end is gone.
_TCP_USER_TIMEOUT_MILLISECONDS = 20_000
_PORTS = {"amqp": 5672, "amqps": 5671}
_OPTIONS = ("cacertfile", "certfile", "heartbeat", "keyfile", "prefix", "server_name_indication", "verify")


@dataclass(frozen=True, slots=True)
class Address:
    """Where a broker is; `prefix` stands before the name of every queue and exchange."""

    hosts: tuple[tuple[str, int], ...]
    virtual_host: str
    prefix: str
    user: str
    parameters: tuple[pika.ConnectionParameters, ...]

    def shuffled(self) -> list[pika.ConnectionParameters]:
        """How to connect to each host, in an order that differs between processes and attempts."""
        return random.sample(self.parameters, len(self.parameters))

    def __str__(self) -> str:
        hosts = ",".join(f"{f'[{host}]' if ':' in host else host}:{port}" for host, port in self.hosts)
        return f"{hosts} (virtual host {self.virtual_host!r})"


def parse_address(url: str) -> Address:
    """Parse `amqp[s]://user:password@host[:port][,host…]/vhost?option=value`; raises `InvalidInput`.

    The options are those of RabbitMQ's own URLs (`cacertfile`, `certfile`, `keyfile`, `verify=verify_none`,
    `server_name_indication`, `heartbeat`), and `prefix`, which stands before every name for those who must share a
    virtual host.
    """
    try:
        return _parse(url)
    except (ValueError, OSError) as error:
        raise InvalidInput(
            f"RABBITMQ_URL cannot be used: {error}.",
            hint="Use amqp://user:password@host:5672/vhost (amqps:// for TLS), or leave it unset.",
            field="RABBITMQ_URL",
        ) from error


def _parse(url: str) -> Address:
    scheme, _, rest = url.partition("://")
    if scheme not in _PORTS or not rest:
        raise ValueError("it does not begin with amqp:// or amqps://")
    authority, _, path_and_query = rest.partition("/")
    if not path_and_query and "?" in authority:
        authority, _, query = authority.partition("?")
        path = ""
    else:
        path, _, query = path_and_query.partition("?")
    if "/" in path:
        raise ValueError("the virtual host holds a slash; write it as %2F")
    options = dict(urllib.parse.parse_qsl(query, strict_parsing=True)) if query else {}
    if unknown := sorted(set(options) - set(_OPTIONS)):
        raise ValueError(f"it has no option {', '.join(unknown)}; there are {', '.join(_OPTIONS)}")
    prefix = options.get("prefix", "")
    if not re.fullmatch(r"[A-Za-z0-9._-]{0,64}", prefix):
        raise ValueError("the prefix may have up to 64 letters, digits, dots, hyphens and underscores")
    credentials, _, places = authority.rpartition("@")
    user, _, password = (urllib.parse.unquote(part) for part in (credentials or "guest:guest").partition(":"))
    hosts = tuple(_host(place, _PORTS[scheme]) for place in places.split(","))
    virtual_host = urllib.parse.unquote(path) or "/"
    tls = _tls(options) if scheme == "amqps" else None
    parameters = tuple(
        pika.ConnectionParameters(
            host=host,
            port=port,
            virtual_host=virtual_host,
            credentials=pika.PlainCredentials(user, password, erase_on_connect=False),
            heartbeat=int(options.get("heartbeat", HEARTBEAT_SECONDS)),
            ssl_options=pika.SSLOptions(tls, options.get("server_name_indication", host)) if tls else None,
            socket_timeout=CONNECT_SECONDS,
            stack_timeout=HANDSHAKE_SECONDS,
            blocked_connection_timeout=None,
            client_properties={"connection_name": f"weave-nn {os.getpid()}", "product": "weave-nn"},
            tcp_options={"TCP_USER_TIMEOUT": _TCP_USER_TIMEOUT_MILLISECONDS},
        )
        for host, port in hosts
    )
    return Address(hosts, virtual_host, prefix, user, parameters)


def _host(place: str, default_port: int) -> tuple[str, int]:
    found = re.fullmatch(r"(?:\[([0-9A-Fa-f:.%]+)\]|([^\[\]:]+))(?::(\d{1,5}))?", place)
    if found is None:
        raise ValueError(f"{place!r} is not a host, or a host and a port")
    bracketed, plain, port = found.groups()
    return urllib.parse.unquote(bracketed or plain), int(port or default_port)


def _tls(options: dict[str, str]) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=options.get("cacertfile"))
    if "certfile" in options:
        context.load_cert_chain(options["certfile"], options.get("keyfile"))
    match options.get("verify", "verify_peer"):
        case "verify_none":
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        case "verify_peer":
            pass
        case other:
            raise ValueError(f"verify is verify_peer or verify_none, not {other!r}")
    return context


@contextmanager
def channel(address: Address) -> Iterator[BlockingChannel]:
    """A channel on a connection of its own, for a short while; raises `Unavailable` and the like."""
    try:
        connection = pika.BlockingConnection(address.shuffled())
    except Exception as error:
        raise explained(address, error) from error
    try:
        yield connection.channel()
    except exceptions.AMQPError as error:
        raise explained(address, error) from error
    finally:
        if connection.is_open:
            connection.close()


def explained(address: Address, error: BaseException | None) -> WeaveError:
    """What a failure of the client library means, and what to do."""
    if isinstance(error, WeaveError):
        return error
    for cause in _causes(error):
        if isinstance(cause, exceptions.ProbableAuthenticationError | exceptions.AuthenticationError):
            return Unavailable(
                f"RabbitMQ at {address} does not accept the user {address.user!r} with this password.",
                hint="Check the user and the password in RABBITMQ_URL; guest may come from the broker's own host only.",
            )
        if isinstance(cause, exceptions.ProbableAccessDeniedError) or (
            isinstance(cause, exceptions.ConnectionClosed) and "NOT_ALLOWED" in cause.reply_text
        ):
            name = address.virtual_host
            return Unavailable(
                f"RabbitMQ at {address} does not let the user {address.user!r} into the virtual host {name!r}.",
                hint=f"Make it: rabbitmqctl add_vhost '{name}' && "
                f"rabbitmqctl set_permissions -p '{name}' {address.user} '.*' '.*' '.*'",
            )
    return Unavailable(
        f"RabbitMQ at {address} does not answer: {_reason(error)}.",
        hint="Check that the broker runs and that RABBITMQ_URL names it rightly.",
    )


def _causes(error: BaseException | None) -> Sequence[BaseException]:
    """The error and what it wraps: the library reports one failed attempt as a list inside of another error."""
    found: list[BaseException] = []
    waiting = [error] if error is not None else []
    while waiting and len(found) < 20:
        each = waiting.pop(0)
        found.append(each)
        inner: list[object] = [*each.args, getattr(each, "exception", None), getattr(each, "exceptions", None)]
        for value in inner:
            candidates = value if isinstance(value, list | tuple) else [value]
            waiting += [candidate for candidate in candidates if isinstance(candidate, BaseException)]
    return found


def _reason(error: BaseException | None) -> str:
    if error is None:
        return "there is no connection yet"
    innermost = _causes(error)[-1]
    text = " ".join(str(innermost).split()) or type(innermost).__name__
    return text.rstrip(".")
