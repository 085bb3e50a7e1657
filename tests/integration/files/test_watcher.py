import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import pytest

from weave_nn.services.files.adapters.watcher import Watcher, WatchSettings

if TYPE_CHECKING:
    from integration.files.conftest import Stand


@pytest.fixture(params=["auto", "poll"])
def watched(stand: "Stand", request: pytest.FixtureRequest) -> Iterator["Stand"]:
    watcher = Watcher(stand.observer, stand.root, WatchSettings(mode=request.param, poll_seconds=0.1))
    watcher.start()
    assert watcher.wait_surveyed(10)
    assert watcher.problem() is None
    yield stand
    watcher.stop()


def wait_for(condition: Callable[[], bool], seconds: float = 90) -> None:
    deadline = time.monotonic() + seconds
    pause = threading.Event()
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true in time"
        pause.wait(0.02)


class Told:
    """Collects what is announced, until it is what was waited for."""

    def __init__(self, stand: "Stand") -> None:
        self.stand = stand
        self.all: list[tuple[str, str | None]] = []

    def has(self, *expected: tuple[str, str]) -> Callable[[], bool]:
        def check() -> bool:
            self.all += self.stand.told()
            return set(expected) <= set(self.all)

        return check


def test_a_new_a_changed_and_a_removed_file(watched: "Stand") -> None:
    told = Told(watched)
    file = watched.write("sub/a.md", "one")
    wait_for(told.has(("created", "sub/a.md")))
    file.write_text("two")
    wait_for(told.has(("updated", "sub/a.md")))
    file.unlink()
    wait_for(told.has(("deleted", "sub/a.md")))
    assert [name for name, _ in told.all] == ["created", "updated", "deleted"]


def test_an_atomic_save_is_one_update(watched: "Stand") -> None:
    told = Told(watched)
    file = watched.write("a.md", "one")
    wait_for(told.has(("created", "a.md")))
    draft = watched.root / "a.md.tmp~"
    draft.write_text("two")
    draft.rename(file)
    watched.write("end.md", "")
    wait_for(told.has(("updated", "a.md"), ("created", "end.md")))
    assert ("deleted", "a.md") not in told.all


def test_a_renamed_folder_is_found(watched: "Stand") -> None:
    told = Told(watched)
    watched.write("old/a.md", "alpha")
    watched.write("old/b.md", "beta")
    wait_for(told.has(("created", "old/a.md"), ("created", "old/b.md")))
    (watched.root / "old").rename(watched.root / "new")
    wait_for(told.has(("renamed", "new/a.md"), ("renamed", "new/b.md")))
    assert not any(name == "deleted" for name, _ in told.all)


def test_thousands_of_files_at_once_are_all_found(watched: "Stand") -> None:
    told = Told(watched)
    for number in range(2000):
        watched.write(f"bulk/{number % 20}/{number}.md", f"note {number}")
    expected = [("created", f"bulk/{number % 20}/{number}.md") for number in range(2000)]
    wait_for(told.has(*expected), seconds=60)
    assert len(told.all) == 2000


def test_a_checkout_of_another_branch_is_followed(watched: "Stand") -> None:
    def git(*arguments: str) -> None:
        subprocess.run(["git", *arguments], cwd=watched.root, check=True, capture_output=True)

    told = Told(watched)
    git("init", "-q", "-b", "main")
    git("config", "user.email", "t@example.invalid")
    git("config", "user.name", "t")
    for number in range(60):
        watched.write(f"{number}.md", f"main {number}")
    git("add", "-A")
    git("commit", "-qm", "one")
    git("checkout", "-qb", "other")
    for number in range(30):
        watched.write(f"{number}.md", f"other {number}")
    watched.write("only here.md", "x")
    git("add", "-A")
    git("commit", "-qm", "two")
    wait_for(told.has(("created", "only here.md"), *(("created", f"{number}.md") for number in range(60))))
    git("checkout", "-q", "main")
    wait_for(told.has(("deleted", "only here.md"), *(("updated", f"{number}.md") for number in range(30))))
    assert not any(path and path.startswith(".git") for _, path in told.all)


def test_what_changed_while_nobody_watched_is_found_at_start(stand: "Stand") -> None:
    stand.write("a.md", "one")
    stand.settle()
    stand.write("a.md", "two!")
    stand.write("b.md", "new")
    watcher = Watcher(stand.observer, stand.root, WatchSettings(mode="off"))
    watcher.start()
    assert watcher.wait_surveyed(10)
    watcher.stop()
    assert stand.told() == [("updated", "a.md"), ("created", "b.md")]


def test_a_vault_that_goes_and_comes_back_is_not_forgotten(stand: "Stand") -> None:
    stand.write("a.md", "one")
    stand.settle()
    watcher = Watcher(stand.observer, stand.root, WatchSettings(mode="poll", poll_seconds=0.05, retry_seconds=0.05))
    watcher.start()
    assert watcher.wait_surveyed(10)
    away = stand.root.with_name("away")
    stand.root.rename(away)
    wait_for(lambda: watcher.problem() is not None)
    away.rename(stand.root)
    wait_for(lambda: watcher.problem() is None)
    watcher.stop()
    assert stand.told() == []
