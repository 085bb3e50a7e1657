from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from fastapi import APIRouter
from starlette.testclient import TestClient

from weave_nn.shared.http import Security, StaticKey, create_app

KEY = "a-key-of-the-tests"

MakeClient = Callable[..., TestClient]


@pytest.fixture
def make_client() -> Iterator[MakeClient]:
    with ExitStack() as stack:

        def make(*routers: APIRouter, key: str | None = KEY, **options: Any) -> TestClient:
            options.setdefault("security", Security(authenticator=StaticKey(KEY)))
            app = create_app(title="Test", version="1", routers=routers, **options)
            headers = {"Authorization": f"Bearer {key}"} if key else {}
            return stack.enter_context(TestClient(app, base_url="http://127.0.0.1", headers=headers))

        yield make
