"""Processes that die in the middle, and processes that work at once."""

import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from integration.git.stand import Stand, make_stand
from weave_nn.services.git.adapters import locking
from weave_nn.services.git.adapters.commits import Author, commit_paths, land, writing
from weave_nn.services.git.adapters.locking import RepositoryBusy
from weave_nn.services.git.adapters.place import Repository
from weave_nn.services.git.adapters.process import Git, GitTimeout

TESTS = Path(__file__).parents[2]


def die(stand: Stand, tmp_path: Path, hook: str, condition: str = "true") -> None:
    """Run a process that is killed -9 by that hook."""
    script = stand.write(
        f".git/hooks/{hook}", f"#!/bin/sh\nif {condition}; then kill -9 $(cat '{tmp_path}/victim.pid'); fi\n"
    )
    script.chmod(0o755)
    environment = {**stand.sh.environment, "PYTHONPATH": str(TESTS)}
    ran = subprocess.run(
        [sys.executable, "-m", "integration.git.victim", str(tmp_path)],
        env=environment,
        capture_output=True,
        check=False,
    )
    assert ran.returncode == -signal.SIGKILL, ran.stderr.decode()
    script.unlink()


def test_killed_between_add_and_commit(stand: Stand, tmp_path: Path) -> None:
    stand.write("Staged.md", "mine")
    stand.sh("add", "Staged.md")
    stand.write("New.md", "x")
    index = (stand.root / ".git/index").read_bytes()
    die(stand, tmp_path, "pre-commit")
    assert (stand.root / ".git/index").read_bytes() == index
    assert stand.sh.subjects() == ["first"]
    assert stand.commit() == "notes: create 1 (New)"
    assert stand.sh.status() == ["A  Staged.md"]


def test_killed_between_commit_and_index(stand: Stand, tmp_path: Path) -> None:
    stand.write("New.md", "x")
    stand.write("Home.md", "changed")
    die(stand, tmp_path, "reference-transaction", '[ "$1" = committed ]')
    assert stand.sh.subjects()[0] == "notes: create 1, update 1 (Home, New)"
    assert (stand.root / ".git/index.lock").exists()
    assert stand.commit() is None
    assert not (stand.root / ".git/index.lock").exists()
    assert not stand.sh.status()
    assert len(stand.sh.subjects()) == 2


def test_killed_between_commit_and_its_record(stand: Stand, tmp_path: Path) -> None:
    stand.write("New.md", "x")
    die(stand, tmp_path, "post-commit")
    assert stand.pending() == ["New.md"]
    stand.announced()
    assert stand.commit() is None
    (event,) = stand.told("git.commit.created")
    assert event.subject == stand.sh("rev-parse", "HEAD").strip()
    assert stand.pending() == []
    assert len(stand.sh.subjects()) == 2


def test_a_lock_of_another_git_is_waited_for_and_never_removed(stand: Stand) -> None:
    lock = stand.write(".git/index.lock", "")
    os.utime(lock, (1, 1))
    stand.write("New.md", "x")
    stand.carry()
    repository = Repository.find(Git.open(stand.root, stand.sh.environment))
    with (
        writing(repository),
        pytest.raises(RepositoryBusy, match=r"index\.lock"),
        locking.index_lock(repository, wait_seconds=0.1),
    ):
        pytest.fail("the lock was taken")
    assert lock.exists()
    assert (stand.git.status().index_lock_seconds or 0) > 1_000_000
    lock.unlink()
    assert stand.commit() == "notes: create 1 (New)"


def test_a_commit_that_somebody_makes_in_the_same_moment_is_not_undone(stand: Stand) -> None:
    script = 'git -C "$(dirname "$0")/../.." commit -q --no-verify -m theirs -- Theirs.md; rm "$0"'
    stand.write("Theirs.md", "theirs")
    stand.sh("add", "Theirs.md")
    hook = stand.write(".git/hooks/pre-commit", f"#!/bin/sh\nunset GIT_INDEX_FILE GIT_DIR\n{script}\n")
    hook.chmod(0o755)
    stand.write("New.md", "x")
    stand.commit()
    assert stand.sh.subjects()[1:] == ["theirs", "first"]
    assert set(stand.sh("ls-tree", "-r", "--name-only", "HEAD").split()) == {"Home.md", "New.md", "Theirs.md"}
    assert not stand.sh.status()


def test_the_branch_is_moved_only_from_where_it_was_seen(stand: Stand) -> None:
    repository = Repository.find(Git.open(stand.root, stand.sh.environment))
    seen = stand.sh("rev-parse", "HEAD").strip()
    stand.write("Home.md", "theirs")
    stand.sh("commit", "-qam", "theirs")
    index = (stand.root / ".git/index").read_bytes()
    with writing(repository):
        assert not land(repository, seen, seen, "test")
    assert stand.sh.subjects() == ["theirs", "first"]
    assert (stand.root / ".git/index").read_bytes() == index


def test_writers_at_once_take_turns(stand: Stand, tmp_path: Path) -> None:
    stands = [stand, *(make_stand(tmp_path, stand.root, stand.sh.environment) for _ in range(3))]

    def work(number: int) -> None:
        repository = Repository.find(Git.open(stand.root, stand.sh.environment))
        for turn in range(3):
            name = f"writer {number} {turn}.md"
            stand.write(name, "x")
            with writing(repository, wait_seconds=60):
                made = commit_paths(repository, [name], lambda changes: f"{len(changes)}\n", Author())
            assert made.commit

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(4)))
    assert len(stand.sh.subjects()) == 13
    assert not stand.sh.status()
    for each in stands[1:]:
        each.database.close()


def test_a_hook_that_never_ends_is_ended(stand: Stand) -> None:
    hook = stand.write(".git/hooks/pre-commit", "#!/bin/sh\nsleep 600\n")
    hook.chmod(0o755)
    stand.write("New.md", "x")
    repository = Repository.find(Git.open(stand.root, stand.sh.environment, timeout_seconds=1))
    with writing(repository), pytest.raises(GitTimeout):
        commit_paths(repository, ["New.md"], lambda _: "x\n", Author())
    hook.unlink()
    assert stand.commit() == "notes: create 1 (New)"


def test_ten_thousand_files(bare_stand: Stand) -> None:
    for number in range(10_000):
        bare_stand.write(f"folder {number % 100}/Note {number}.md", f"# Note {number}\n")
    made = bare_stand.git.init()
    assert made.files == 10_001
    bare_stand.carry()
    bare_stand.committer.commit_pending()
    for number in range(0, 10_000, 20):
        bare_stand.write(f"folder {number % 100}/Note {number}.md", "changed\n")
    subject = bare_stand.commit()
    assert subject is not None
    assert subject.startswith("notes: update 500 (Note")
    assert len(subject) < 120
    assert not bare_stand.sh.status()
