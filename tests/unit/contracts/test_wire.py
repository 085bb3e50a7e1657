"""Whatever a contract's method takes and gives survives the wire, for every method of every contract."""

import dataclasses
import inspect
import typing
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from typing import Any, Protocol

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from weave_nn.services.files.contract import FilesContract, ObserverContract
from weave_nn.services.git.contract import GitContract, RestoreContract
from weave_nn.services.sync.contract import SyncContract
from weave_nn.services.tasks.contract import TasksContract
from weave_nn.shared.contracts import query
from weave_nn.shared.contracts.wire import Method, Unreadable, in_chunks, methods_of
from weave_nn.shared.errors import InvalidInput

CONTRACTS = (FilesContract, ObserverContract, SyncContract, TasksContract, GitContract, RestoreContract)
METHODS = [(contract, method) for contract in CONTRACTS for method in methods_of(contract).values()]

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
zones = st.sampled_from([UTC, timezone(timedelta(hours=-3, minutes=-30))])


def values(annotation: Any) -> st.SearchStrategy[Any]:
    """Values of a type, built from the annotations like the codec itself: `from_type` would give a str for Any."""
    plain: dict[Any, st.SearchStrategy[Any]] = {
        Any: json_values,
        datetime: st.datetimes(timezones=zones),
        float: st.floats(allow_nan=False),
        Iterable[bytes]: st.lists(st.binary(max_size=50), max_size=3).map(tuple),
    }
    if annotation in plain:
        return plain[annotation]
    if inspect.isclass(annotation) and (hints := _fields(annotation)) is not None:
        return st.builds(annotation, **{name: values(hint) for name, hint in hints.items()})
    inner = [values(each) for each in typing.get_args(annotation) if each is not Ellipsis and not isinstance(each, str)]
    origin = typing.get_origin(annotation)
    if origin in {Sequence, dict} or (origin is tuple and annotation.__args__[-1] is Ellipsis):
        return _several(origin, inner)
    if origin is tuple:
        return st.tuples(*inner)
    return st.one_of(*inner) if inner else st.from_type(annotation)


def _several(kind: Any, inner: list[st.SearchStrategy[Any]]) -> st.SearchStrategy[Any]:
    if kind is dict:
        return st.dictionaries(*inner, max_size=2)
    return st.lists(*inner, max_size=2).map(tuple if kind is tuple else list)


def _fields(kind: type) -> dict[str, Any] | None:
    if dataclasses.is_dataclass(kind):
        hints = typing.get_type_hints(kind)
        return {each.name: hints[each.name] for each in dataclasses.fields(kind)}
    return typing.get_type_hints(kind) if issubclass(kind, tuple) and hasattr(kind, "_fields") else None


def _whole(content: Any) -> Any:
    return None if content is None else b"".join(in_chunks(content))


@pytest.mark.parametrize(("contract", "method"), METHODS, ids=lambda each: getattr(each, "__name__", "") or each.name)
@settings(max_examples=10, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_arguments_and_results_arrive_as_they_were(contract: type, method: Method, data: st.DataObject) -> None:
    hints = typing.get_type_hints(getattr(contract, method.name))
    required = {name for name, each in method.signature.parameters.items() if each.default is inspect.Parameter.empty}
    given_names = required | data.draw(st.sets(st.sampled_from(sorted(method.signature.parameters) or ["-"])))
    arguments = {name: data.draw(values(hints[name])) for name in sorted(given_names) if name in hints}

    head, content = method.encode_arguments((), arguments)
    arrived = method.decode_arguments(head)
    if method.content_parameter is not None:
        assert _whole(content) == _whole(arguments.pop(method.content_parameter))
    bound = method.signature.bind_partial(**arrived)
    bound.apply_defaults()
    sent = method.signature.bind_partial(**arguments)
    sent.apply_defaults()
    assert bound.arguments == sent.arguments

    result = data.draw(values(hints["return"]))
    head, content = method.encode_result(result)
    assert b"\n" not in head
    again = method.decode_result(head, b"" if content is None else b"".join(in_chunks(content)))
    if method.streams_out:
        result = dataclasses.replace(result, **{str(method.content_field): _whole(content)})
    assert again == result
    assert type(again) is type(result)


@dataclass(frozen=True)
class Old:
    name: str
    size: int = 7


class OldContract(Protocol):
    @query
    def read(self, name: str, *, limit: int = 10) -> Old: ...


@dataclass(frozen=True)
class New:
    name: str
    colour: str


class NewContract(Protocol):
    @query
    def read(self, name: str, *, limit: int = 10, strict: bool = False) -> New: ...


old, new = methods_of(OldContract)["read"], methods_of(NewContract)["read"]


def test_a_result_of_another_version_is_understood_where_it_can_be() -> None:
    head, _ = new.encode_result(New("a", "red"))
    assert old.decode_result(head, b"") == Old("a", 7)
    head, _ = old.encode_result(Old("a"))
    with pytest.raises(Unreadable, match="colour"):
        new.decode_result(head, b"")


def test_an_older_service_is_asked_in_its_own_words_unless_more_is_wanted() -> None:
    head, _ = new.encode_arguments(("a",), {"strict": False, "limit": 3})
    assert old.decode_arguments(head) == {"name": "a", "limit": 3}
    head, _ = new.encode_arguments(("a",), {"strict": True})
    with pytest.raises(InvalidInput, match="strict"):
        old.decode_arguments(head)


def test_a_wrong_call_is_a_type_error_as_in_process() -> None:
    with pytest.raises(TypeError):
        old.encode_arguments((), {})


def test_what_json_cannot_hold_is_refused_with_the_method() -> None:
    with pytest.raises(InvalidInput, match="arguments of read"):
        old.encode_arguments(("\ud800",), {})


def test_a_method_with_two_contents_cannot_be_carried() -> None:
    class Two(Protocol):
        @query
        def join(self, one: bytes, other: bytes) -> None: ...

    with pytest.raises(TypeError, match="several"):
        methods_of(Two)
