import io
from pathlib import Path
from typing import Annotated, Any

import pytest
from fastapi import APIRouter, Header
from hypothesis import given
from hypothesis import strategies as st
from starlette.responses import Response

from weave_nn.shared.http import RangeNotSatisfiable, file_response, parse_range

MEBIBYTE = 2**20


@given(st.integers(1, 10**6), st.data())
def test_a_range_is_never_outside_of_the_content(size: int, data: st.DataObject) -> None:
    first = data.draw(st.integers(0, size - 1))
    last = data.draw(st.none() | st.integers(first, 2 * size))
    part = parse_range(f"bytes={first}-{'' if last is None else last}", size)
    assert part is not None
    assert part.start == first
    assert part.stop == (size if last is None else min(last + 1, size))
    assert part.content_range == f"bytes {first}-{part.stop - 1}/{size}"


@pytest.mark.parametrize(
    "header", [None, "", "bytes=", "bytes=-", "bytes=a-b", "bytes=5-2", "lines=0-1", "bytes=0-1,4-5", "bytes=--1"]
)
def test_what_is_not_served_in_parts_is_served_whole(header: str | None) -> None:
    assert parse_range(header, 10) is None


def test_a_suffix_is_the_end_of_the_content() -> None:
    part = parse_range("bytes=-3", 10)
    assert part is not None
    assert (part.start, part.stop) == (7, 10)
    whole = parse_range("bytes=-30", 10)
    assert whole is not None
    assert (whole.start, whole.stop) == (0, 10)


@pytest.mark.parametrize(("header", "size"), [("bytes=10-", 10), ("bytes=0-", 0), ("bytes=-0", 10), ("bytes=-5", 0)])
def test_a_range_behind_the_end_cannot_be_satisfied(header: str, size: int) -> None:
    with pytest.raises(RangeNotSatisfiable) as refused:
        parse_range(header, size)
    assert refused.value.fields["size"] == size


def file_router(path: Path) -> APIRouter:
    router = APIRouter()

    @router.get("/file")
    def read(
        range_header: Annotated[str | None, Header(alias="Range")] = None,
        if_range: Annotated[str | None, Header()] = None,
    ) -> Response:
        headers = {"ETag": '"1"', "Content-Type": "application/octet-stream"}
        size = path.stat().st_size
        return file_response(path.open("rb"), size, headers=headers, range_header=range_header, if_range=if_range)

    return router


@pytest.mark.parametrize("size", [0, 10, MEBIBYTE + 17])
def test_a_file_arrives_whole_in_part_and_not_at_all(tmp_path: Path, make_client: Any, size: int) -> None:
    content = bytes(range(256)) * (size // 256 + 1)
    content = content[:size]
    path = tmp_path / "file"
    path.write_bytes(content)
    client = make_client(file_router(path))

    whole = client.get("/file")
    assert (whole.status_code, whole.content) == (200, content)
    assert whole.headers["accept-ranges"] == "bytes"
    head = client.head("/file")
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == str(size)
    beyond = client.get("/file", headers={"Range": f"bytes={size}-"})
    assert (beyond.status_code, beyond.headers["content-range"]) == (416, f"bytes */{size}")
    assert beyond.json()["type"] == "urn:weave-nn:problem:range_not_satisfiable"
    if size:
        part = client.get("/file", headers={"Range": "bytes=3-", "If-Range": '"1"'})
        assert (part.status_code, part.content) == (206, content[3:])
        assert part.headers["content-range"] == f"bytes 3-{size - 1}/{size}"
        stale = client.get("/file", headers={"Range": "bytes=3-", "If-Range": '"0"'})
        assert (stale.status_code, stale.content) == (200, content)


def test_a_file_is_closed_even_if_the_range_is_refused() -> None:
    file = io.BytesIO(b"0123456789")
    with pytest.raises(RangeNotSatisfiable):
        file_response(file, 10, headers={"ETag": '"1"'}, range_header="bytes=10-")
    assert file.closed
