import re
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from integration.git.stand import Shell, Stand, make_stand
from weave_nn.services.git.adapters.place import OperationInProgress
from weave_nn.services.git.adapters.process import Git, GitFailed
from weave_nn.services.git.adapters.updating import UncommittedChanges
from weave_nn.services.git.service.synchronising import NoRemote, Synchroniser, SyncRules
from weave_nn.shared.bus import Outbox
from weave_nn.shared.db import UnitOfWork


@dataclass
class Pair:
    """A vault, and another clone of its remote."""

    here: Stand
    there: Shell
    sync: Synchroniser

    def push(self, path: str, content: str | None) -> None:
        """Somebody else changes a file (None: deletes it), and pushes."""
        self.there("pull", "-q", "--rebase")
        file = self.there.folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        if content is None:
            file.unlink()
        else:
            file.write_text(content)
        self.there("add", "-A")
        self.there("commit", "-qm", f"there: {path}")
        self.there("push", "-q")

    def copies(self) -> list[Path]:
        return sorted(self.here.root.rglob("*(conflict*"))

    def in_step(self) -> bool:
        """Whether both sides have the same files, and nothing is left to commit."""
        self.there("pull", "-q", "--rebase")
        assert self.here.sh.status() in ([], ["?? .trash/"])
        return self.here.sh("rev-parse", "HEAD^{tree}") == self.there("rev-parse", "HEAD^{tree}")


def synchroniser(stand: Stand, rules: SyncRules) -> Synchroniser:
    def outbox(work: UnitOfWork) -> Outbox:
        return Outbox(work.session, "git", "test")

    git = Git.open(stand.root, stand.sh.environment, timeout_seconds=30)
    return Synchroniser(
        stand.database, "test", git=git, files=stand.files, committer=stand.committer, outbox=outbox, rules=rules
    )


@pytest.fixture
def pair(stand: Stand, tmp_path: Path) -> Pair:
    stand.write("Shared.md", "one\ntwo\nthree\n")
    stand.write("folder/Deep.md", "deep\n")
    stand.commit()
    stand.sh("init", "-q", "--bare", str(tmp_path / "remote.git"))
    stand.sh("remote", "add", "origin", str(tmp_path / "remote.git"))
    sync = synchroniser(stand, SyncRules(host="here", network_seconds=30))
    assert sync.sync_now().pushed
    stand.sh("clone", "-q", str(tmp_path / "remote.git"), str(tmp_path / "there"))
    there = Shell(tmp_path / "there", stand.sh.environment)
    return Pair(stand, there, sync)


def test_what_is_ahead_elsewhere_is_pulled(pair: Pair) -> None:
    pair.push("Shared.md", "ONE\ntwo\nthree\n")
    pair.push("folder/New \N{ROCKET}.md", "new\n")
    pair.push("folder/Deep.md", None)
    done = pair.sync.sync_now()
    assert (done.pulled, done.pushed, done.kept) == (True, False, ())
    assert pair.here.read("Shared.md").startswith("ONE")
    assert pair.here.read("folder/New \N{ROCKET}.md") == "new\n"
    assert not (pair.here.root / "folder/Deep.md").exists()
    assert pair.in_step()
    assert pair.here.commit() is None
    assert (pair.here.root / ".trash/folder/Deep.md").exists()


def test_what_is_ahead_here_is_pushed_with_what_was_not_committed_yet(pair: Pair) -> None:
    pair.here.write("Mine.md", "mine\n")
    assert pair.sync.sync_now().pushed
    assert pair.in_step()
    assert not pair.sync.sync_now().pushed


def test_what_differs_is_rebased_commit_by_commit(pair: Pair) -> None:
    pair.push("Shared.md", "ONE\ntwo\nthree\n")
    pair.here.write("Mine.md", "mine\n")
    pair.here.commit()
    author = pair.here.sh("log", "-1", "--format=%an %at %(trailers:key=Weave-Event,valueonly)")
    pair.here.write("Shared.md", "one\ntwo\nTHREE\n")
    done = pair.sync.sync_now()
    assert (done.pulled, done.pushed, done.kept) == (True, True, ())
    assert pair.here.read("Shared.md") == "ONE\ntwo\nTHREE\n"
    assert pair.here.sh.subjects()[:3] == ["notes: update 1 (Shared)", "notes: create 1 (Mine)", "there: Shared.md"]
    assert pair.here.sh("log", "-1", "--skip=1", "--format=%an %at %(trailers:key=Weave-Event,valueonly)") == author
    assert not pair.here.sh("log", "--merges", "--format=%h")
    assert pair.in_step()


def test_of_a_conflict_both_versions_are_kept_and_it_is_announced(pair: Pair) -> None:
    pair.push("Shared.md", "theirs\n")
    for version in ("first", "second", "third"):
        pair.here.write("Shared.md", f"ours, {version}\n")
        pair.here.commit()
    pair.here.announced()
    done = pair.sync.sync_now()
    assert pair.here.read("Shared.md") == "theirs\n"
    (copy,) = pair.copies()
    assert re.fullmatch(r"Shared \(conflict \d{4}-\d\d-\d\d here\)\.md", copy.name)
    assert copy.read_text() == "ours, third\n"
    (event,) = pair.here.told("git.conflict.kept")
    assert (event.data["path"], event.data["copy_path"]) == ("Shared.md", copy.name)
    assert done.pushed
    assert pair.in_step()
    pair.push("Shared.md", "theirs again\n")
    pair.here.write("Shared.md", "ours again\n")
    pair.sync.sync_now()
    assert {each.read_text() for each in pair.copies()} == {"ours, third\n", "ours again\n"}
    assert pair.in_step()


def test_a_note_that_one_side_deleted_and_the_other_changed_stays(pair: Pair) -> None:
    pair.push("Shared.md", None)
    pair.here.write("Shared.md", "ours\n")
    pair.push("folder/Deep.md", "theirs\n")
    (pair.here.root / "folder/Deep.md").unlink()
    done = pair.sync.sync_now()
    assert {each.copy_path for each in done.kept} == {None}
    assert pair.here.read("Shared.md") == "ours\n"
    assert pair.here.read("folder/Deep.md") == "theirs\n"
    assert pair.in_step()


def test_local_merges_stay_and_are_joined(pair: Pair) -> None:
    pair.here.sh("checkout", "-qb", "side")
    pair.here.write("Side.md", "side\n")
    pair.here.commit()
    pair.here.sh("checkout", "-q", "main")
    pair.here.write("Main.md", "main\n")
    pair.here.commit()
    pair.here.sh("merge", "-q", "--no-edit", "side")
    pair.push("Shared.md", "theirs\n")
    pair.here.write("Shared.md", "ours\n")
    assert pair.sync.sync_now().pushed
    assert [copy.read_text() for copy in pair.copies()] == ["ours\n"]
    assert (pair.here.read("Side.md"), pair.here.read("Main.md")) == ("side\n", "main\n")
    assert pair.in_step()


def test_what_the_user_has_staged_is_not_overwritten(pair: Pair) -> None:
    pair.push("Shared.md", "theirs\n")
    pair.here.write("Shared.md", "staged\n")
    pair.here.sh("add", "Shared.md")
    before = pair.here.sh("rev-parse", "HEAD")
    with pytest.raises(UncommittedChanges, match="Shared"):
        pair.sync.sync_now()
    assert pair.here.read("Shared.md") == "staged\n"
    assert pair.here.sh("rev-parse", "HEAD") == before
    pair.here.sh("commit", "-qm", "mine")
    pair.sync.sync_now()
    assert [copy.read_text() for copy in pair.copies()] == ["staged\n"]


def test_an_ignored_file_in_the_way_is_not_overwritten(pair: Pair) -> None:
    pair.here.write(".git/info/exclude", "Private.md\n")
    pair.here.write("Private.md", "secret\n")
    pair.push("Private.md", "theirs\n")
    with pytest.raises(UncommittedChanges, match="Private"):
        pair.sync.sync_now()
    assert pair.here.read("Private.md") == "secret\n"


def test_hidden_files_links_and_executables_follow_as_git_does_it(pair: Pair) -> None:
    folder = pair.there.folder
    (folder / ".obsidian").mkdir()
    (folder / ".obsidian/app.json").write_text("{}\n")
    (folder / "link.md").symlink_to("Shared.md")
    (folder / "run.sh").write_text("#!/bin/sh\n")
    (folder / "run.sh").chmod(0o755)
    pair.push("Shared.md", "theirs\n")
    pair.sync.sync_now()
    assert pair.here.read(".obsidian/app.json") == "{}\n"
    assert (pair.here.root / "link.md").is_symlink()
    assert (pair.here.root / "run.sh").stat().st_mode & 0o100
    assert pair.in_step()
    (pair.here.root / ".obsidian/app.json").write_text("mine\n")
    pair.push(".obsidian/app.json", None)
    pair.sync.sync_now()
    assert pair.here.read(".obsidian/app.json") == "mine\n"


def test_a_large_file_and_a_file_that_becomes_a_folder(pair: Pair) -> None:
    pair.push("big.txt", "x" * 2_000_000)
    pair.sync.sync_now()
    pair.push("big.txt", "y" * 2_000_000)
    pair.there("rm", "-q", "Shared.md")
    pair.there("commit", "-qm", "there: a folder instead")
    pair.push("Shared.md/Inside.md", "inside\n")
    pair.sync.sync_now()
    assert pair.here.read("big.txt").startswith("yyy")
    assert pair.here.read("Shared.md/Inside.md") == "inside\n"
    assert pair.in_step()


def test_a_vault_without_commits_takes_what_the_remote_has(
    pair: Pair, tmp_path: Path, environment: dict[str, str]
) -> None:
    other = make_stand(tmp_path / "home", tmp_path / "second", environment)
    other.sh("init", "-q")
    other.sh("remote", "add", "origin", str(tmp_path / "remote.git"))
    synchroniser(other, SyncRules()).sync_now()
    assert other.read("Shared.md") == pair.here.read("Shared.md")
    assert other.sh.status() == []
    other.database.close()


def test_unrelated_histories_are_put_one_on_the_other(pair: Pair, tmp_path: Path, environment: dict[str, str]) -> None:
    other = make_stand(tmp_path / "home", tmp_path / "second", environment)
    other.write("Own.md", "own\n")
    other.write("Shared.md", "another one\n")
    other.git.init()
    other.sh("remote", "add", "origin", str(tmp_path / "remote.git"))
    done = synchroniser(other, SyncRules(host="second")).sync_now()
    assert done.pushed
    assert other.read("Shared.md") == "one\ntwo\nthree\n"
    assert [each.path for each in done.kept] == ["Shared.md"]
    pair.sync.sync_now()
    assert pair.here.read("Own.md") == "own\n"
    assert [copy.read_text() for copy in pair.copies()] == ["another one\n"]
    other.database.close()


def test_a_note_that_is_edited_while_it_is_pulled_is_not_overwritten(pair: Pair) -> None:
    pair.push("Shared.md", "theirs\n")
    hook = pair.here.write(".git/hooks/reference-transaction", "#!/bin/sh\nexit 1\n")
    hook.chmod(0o755)
    with pytest.raises(GitFailed):
        pair.sync.sync_now()
    hook.unlink()
    # The notes are as they are to be, the branch is not: what is written now stays, and the rest converges.
    pair.here.write("Shared.md", "edited since\n")
    pair.sync.sync_now()
    assert "edited since\n" in {copy.read_text() for copy in (*pair.copies(), pair.here.root / "Shared.md")}
    assert "theirs\n" in pair.here.sh("log", "-p", "--format=")
    assert pair.in_step()


def test_in_the_middle_of_a_merge_nothing_is_pulled(pair: Pair) -> None:
    pair.here.write(".git/MERGE_HEAD", pair.here.sh("rev-parse", "HEAD"))
    with pytest.raises(OperationInProgress):
        pair.sync.sync_now()


def test_without_a_remote_or_a_branch_it_is_said(stand: Stand) -> None:
    sync = synchroniser(stand, SyncRules())
    with pytest.raises(NoRemote, match="git remote add"):
        sync.sync_now()
    stand.sh("checkout", "-q", "--detach")
    with pytest.raises(NoRemote, match="detached"):
        sync.sync_now()


def test_a_failure_is_told_by_the_status_until_it_is_over(pair: Pair, tmp_path: Path) -> None:
    remote = tmp_path / "remote.git"
    remote.rename(tmp_path / "away.git")
    sync = synchroniser(pair.here, replace(SyncRules(), interval_seconds=0.01))
    sync._step()
    assert "does not appear to be a git repository" in str(pair.here.git.status().sync_problem)
    assert sync._pause_seconds == pytest.approx(0.02)
    (tmp_path / "away.git").rename(remote)
    sync._step()
    assert pair.here.git.status().sync_problem is None
