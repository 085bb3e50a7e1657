from hypothesis import given
from hypothesis import strategies as st

from unit.gateway.edges import rollout
from weave_nn.gateway.buckets import bucket, on_candidate
from weave_nn.gateway.places import service_of
from weave_nn.gateway.rollout import BUCKETS, STEPS, State

USERS = [f"user:{number}" for number in range(20_000)]


def test_raising_only_adds_users_and_lowering_only_takes_them_away() -> None:
    before: set[str] = set()
    for percent in STEPS:
        at = rollout(state=State.ROLLING, percent=percent)
        now = {user for user in USERS if on_candidate(at, user)}
        assert before <= now
        assert abs(len(now) / len(USERS) - percent / 100) < 0.015
        before = now


def test_another_salt_takes_others_first() -> None:
    def first(salt: str) -> set[str]:
        return {user for user in USERS if bucket(salt, user) < BUCKETS // 10}

    both = first("tasks-1") & first("tasks-2")
    assert len(both) / len(USERS) < 0.015


@given(st.text(), st.text())
def test_a_bucket_is_one_of_ten_thousand(salt: str, user: str) -> None:
    assert 0 <= bucket(salt, user) < BUCKETS


def test_paths_belong_to_their_service() -> None:
    assert service_of("/tasks") == "tasks"
    assert service_of("/tasks/-/contract/list_tasks") == "tasks"
    assert service_of("/tasksandmore") is None
    assert service_of("/mcp") == service_of("/search/simple/") == "sync"
    assert service_of("/vault/a.md") == "files"
    assert service_of("/health") is None
