import os
import threading
import unicodedata
from pathlib import Path

import pytest

from integration.git.stand import Stand, make_stand, user_environment
from weave_nn.services.git.adapters.commits import Author, HookRefused
from weave_nn.services.git.adapters.place import OperationInProgress
from weave_nn.services.git.adapters.process import NoRepository, RepositoryNotTrusted
from weave_nn.services.git.service.committing import CommitRules, NotesRefused


def test_a_burst_becomes_one_commit_that_says_what_changed(stand: Stand) -> None:
    for name in ("a", "b", "c"):
        stand.write(f"projects/acme/{name}.md", "x\n")
    assert stand.commit() == "notes: create 3 in projects/acme (a, b, c)"
    stand.write("projects/acme/a.md", "y\n")
    (stand.root / "projects/acme/b.md").rename(stand.root / "projects/acme/z.md")
    (stand.root / "projects/acme/c.md").unlink()
    stand.write("projects/acme/pic.png", b"\x89PNG")
    assert stand.commit() is not None
    body = stand.sh("log", "-1", "--format=%B")
    assert "- update projects/acme/a.md" in body
    assert "- create projects/acme/pic.png" in body
    assert not stand.sh.status()
    assert not stand.pending()


def test_the_commit_is_announced_and_carries_its_events(stand: Stand) -> None:
    stand.write("New.md", "x\n")
    (created,) = [event for event in stand.carry() if event.type == "vault.file.created"]
    stand.committer.commit_pending()
    (announced,) = stand.told("git.commit.created")
    assert announced.data["paths"] == ["New.md"]
    assert announced.subject == stand.sh("rev-parse", "HEAD").strip()
    assert stand.sh("log", "-1", "--format=%(trailers:key=Weave-Event,valueonly)").strip() == created.id


def test_names_with_spaces_quotes_emoji_and_stars_are_literal(stand: Stand) -> None:
    names = [
        "a b.md",
        "\N{ROCKET} launch.md",
        "日本語.md",
        "it's [one] !.md",
        "ünïcode/ñ.md",
        "-dash.md",
        ":(top)x.md",
        "#h.md",
    ]
    for name in names:
        stand.write(name, name)
    stand.commit()
    assert not stand.sh.status()
    tracked = stand.sh("ls-files", "-z").split("\0")
    assert set(names) <= set(tracked)
    for name in names:
        (stand.root / name).unlink()
    stand.commit()
    assert not stand.sh.status()
    assert stand.sh("ls-files").split() == ["Home.md"]


def test_a_name_with_a_line_end_is_none_of_the_vaults_and_hinders_nothing(stand: Stand) -> None:
    stand.write('line\nend "quoted".md', "x")
    stand.write("New.md", "x")
    assert stand.commit() == "notes: create 1 (New)"
    stand.git.checkpoint("all of it")
    assert not stand.sh.status()
    assert stand.git.status().uncommitted == ()


def test_a_name_in_decomposed_form_is_committed_as_it_is_on_the_disk(stand: Stand) -> None:
    name = unicodedata.normalize("NFD", "Zoë.md")
    file = stand.write(name, "x")
    stand.commit()
    assert not stand.sh.status()
    assert stand.git.log(path="Zoë.md").entries == () or stand.git.log(limit=1).entries
    file.unlink()
    stand.commit()
    assert not stand.sh.status()


def test_what_is_staged_stays_staged_and_is_left_to_the_user(stand: Stand) -> None:
    stand.write("Mine.md", "one\n")
    stand.write("Other.md", "one\n")
    stand.commit()
    stand.write("Mine.md", "one\nstaged\n")
    stand.sh("add", "Mine.md")
    stand.write("Mine.md", "one\nstaged\nnot staged\n")
    stand.write("Added.md", "staged, new\n")
    stand.sh("add", "Added.md")
    stand.write("Other.md", "two\n")
    stand.write("New.md", "new\n")
    cached = stand.sh("diff", "--cached")
    assert stand.commit() == "notes: create 1, update 1 (New, Other)"
    assert stand.sh("diff", "--cached") == cached
    assert stand.sh.status() == ["A  Added.md", "MM Mine.md"]
    assert stand.git.status().staged == ("Added.md", "Mine.md")
    stand.sh("commit", "-qm", "mine")
    assert stand.commit() == "notes: update 1 (Mine)"
    assert not stand.sh.status()


def test_an_edit_of_the_same_length_in_the_same_second_is_seen(stand: Stand) -> None:
    moment = (1_700_000_000, 1_700_000_000)
    stand.sh("config", "core.trustctime", "false")
    os.utime(stand.write("Home.md", "one\n"), moment)
    stand.sh("commit", "-qam", "one")
    stand.carry()
    os.utime(stand.root / ".git/index", moment)
    os.utime(stand.write("Home.md", "two\n"), moment)
    assert stand.commit() == "notes: update 1 (Home)"
    assert stand.sh("show", "HEAD:Home.md") == "two\n"


def test_a_note_that_is_known_but_not_staged_is_committed(stand: Stand) -> None:
    stand.write("Intent.md", "x\n")
    stand.sh("add", "-N", "Intent.md")
    assert stand.commit() == "notes: create 1 (Intent)"
    assert not stand.sh.status()


def test_ignored_files_are_left_alone(stand: Stand) -> None:
    stand.write(".gitignore", "private/\n*.tmp\n")
    stand.write("private/Diary.md", "x")
    stand.write("x.tmp", "x")
    assert stand.commit() is None
    assert not stand.pending()
    assert stand.sh.status() == ["?? .gitignore"]


@pytest.mark.parametrize("operation", ["merge", "rebase", "cherry-pick", "bisect"])
def test_in_the_middle_of_an_operation_nothing_is_done_and_afterwards_it_goes_on(stand: Stand, operation: str) -> None:
    stand.sh("checkout", "-qb", "side")
    stand.write("Home.md", "side\n")
    stand.sh("commit", "-qam", "side")
    stand.sh("checkout", "-q", "main")
    stand.write("Home.md", "main\n")
    stand.sh("commit", "-qam", "main")
    stand.carry()
    match operation:
        case "bisect":
            stand.sh("bisect", "start")
        case "rebase":
            stand.sh.fails("rebase", "side")
        case _:
            stand.sh.fails(operation, "side")
    before = stand.sh("rev-parse", "HEAD")
    index = (stand.root / ".git/index").read_bytes()
    stand.write("New.md", "x")
    with pytest.raises(OperationInProgress, match=operation):
        stand.commit()
    assert stand.sh("rev-parse", "HEAD") == before
    assert (stand.root / ".git/index").read_bytes() == index
    assert stand.git.status().operation == operation
    stand.sh(operation, "reset" if operation == "bisect" else "--abort")
    assert stand.commit() == "notes: create 1 (New)"


def test_before_the_first_commit_and_on_a_detached_head(bare_stand: Stand) -> None:
    bare_stand.sh("init", "-q")
    bare_stand.write("One.md", "x")
    assert bare_stand.commit() == "notes: create 1 (One)"
    bare_stand.sh("checkout", "-q", "--detach")
    bare_stand.write("Two.md", "x")
    assert bare_stand.commit() == "notes: create 1 (Two)"
    assert bare_stand.git.status().branch is None
    assert not bare_stand.sh.status()
    assert bare_stand.sh("rev-parse", "main~0") == bare_stand.sh("rev-parse", "HEAD~1")


def test_a_vault_in_a_folder_of_a_larger_repository(tmp_path: Path, environment: dict[str, str]) -> None:
    stand = make_stand(tmp_path, tmp_path / "work" / "my notes", environment)
    stand.sh("init", "-q", str(tmp_path / "work"))
    (tmp_path / "work" / "code.py").write_text("mine\n")
    stand.write("Home.md", "x")
    assert stand.commit() == "notes: create 1 (Home)"
    assert stand.sh.status() == ["?? code.py"]
    stand.git.checkpoint("all")
    assert stand.sh.status() == ["?? code.py"]
    assert stand.git.status().uncommitted == ()
    (entry,) = stand.git.log(path="Home.md").entries
    assert entry.path == "Home.md"
    assert stand.git.show("Home.md", revision="HEAD").content == b"x"
    stand.database.close()


def test_without_a_repository_nothing_is_made_until_it_is_asked_for(bare_stand: Stand) -> None:
    bare_stand.write("One.md", "x")
    bare_stand.write("Two.md", "x")
    assert bare_stand.commit() is None
    assert not (bare_stand.root / ".git").exists()
    assert bare_stand.pending() == [""]
    with pytest.raises(NoRepository, match="git init"):
        bare_stand.git.status()
    bare_stand.write(".obsidian/workspace.json", "{}")
    made = bare_stand.git.init()
    assert made.created
    assert not bare_stand.sh.status() or bare_stand.sh.status() == []
    assert ".trash/" in bare_stand.read(".gitignore")
    assert bare_stand.commit() is None


def test_a_gitignore_that_is_there_stays(bare_stand: Stand) -> None:
    bare_stand.write(".gitignore", "mine\n")
    bare_stand.git.init()
    assert bare_stand.read(".gitignore") == "mine\n"


def test_with_auto_init_the_repository_is_made(tmp_path: Path, environment: dict[str, str]) -> None:
    stand = make_stand(tmp_path, tmp_path / "vault", environment, CommitRules(auto_init=True))
    stand.write("One.md", "x")
    stand.carry()
    stand.committer.commit_pending()
    assert stand.sh.subjects() == ["notes: begin history"]
    stand.database.close()


def test_a_bare_repository_is_none(tmp_path: Path, environment: dict[str, str]) -> None:
    stand = make_stand(tmp_path, tmp_path / "vault", environment)
    stand.sh("init", "-q", "--bare", ".")
    with pytest.raises(NoRepository):
        stand.git.status()
    stand.database.close()


def test_a_repository_of_another_user_is_explained(tmp_path: Path, environment: dict[str, str]) -> None:
    other = {**environment, "GIT_TEST_ASSUME_DIFFERENT_OWNER": "1"}
    stand = make_stand(tmp_path, tmp_path / "vault", other)
    (tmp_path / "vault").mkdir(exist_ok=True)
    make_stand(tmp_path, tmp_path / "vault", environment).sh("init", "-q")
    with pytest.raises(RepositoryNotTrusted, match=r"safe\.directory"):
        stand.git.status()
    stand.database.close()


def test_submodules_and_nested_repositories_keep_to_themselves(stand: Stand, tmp_path: Path) -> None:
    library = tmp_path / "library"
    library.mkdir()
    stand.sh("init", "-q", folder=library)
    (library / "Lib.md").write_text("x")
    stand.sh("add", ".", folder=library)
    stand.sh("commit", "-qm", "library", folder=library)
    stand.sh("submodule", "--quiet", "add", str(library), "lib")
    stand.sh("commit", "-qm", "submodule")
    stand.sh("init", "-q", str(stand.root / "nested"))
    stand.write("nested/Own.md", "x")
    stand.write("lib/Lib.md", "changed")
    stand.write("New.md", "x")
    pointer = stand.sh("ls-files", "-s", "lib")
    assert stand.commit() == "notes: create 1 (New)"
    assert stand.sh("ls-files", "-s", "lib") == pointer
    assert stand.git.checkpoint("again").created is False
    assert not stand.pending()


def test_filters_such_as_those_for_large_files_are_applied(stand: Stand) -> None:
    stand.sh("config", "filter.lfs.clean", "printf 'version https://git-lfs.github.com/spec/v1\\n'; wc -c")
    stand.sh("config", "filter.lfs.smudge", "printf 'the whole file'")
    stand.write(".gitattributes", "*.png filter=lfs\n")
    stand.write("big.png", b"\0" * 1000)
    assert stand.commit() == "notes: create 1 (big.png)"
    assert stand.sh("cat-file", "-p", "HEAD:big.png").startswith("version https://git-lfs")
    assert stand.git.show("big.png", revision="HEAD").content == b"the whole file"


def test_line_endings_are_converted_as_the_user_asked(stand: Stand) -> None:
    stand.sh("config", "core.autocrlf", "true")
    stand.write("Dos.md", b"a\r\nb\r\n")
    stand.commit()
    assert stand.sh("cat-file", "-p", "HEAD:Dos.md") == "a\nb\n"
    assert not stand.sh.status()


def test_a_file_that_becomes_a_folder_and_back(stand: Stand) -> None:
    stand.write("thing", "file")
    stand.commit()
    (stand.root / "thing").unlink()
    stand.write("thing/Note.md", "x")
    stand.commit()
    assert stand.sh("ls-files").split() == ["Home.md", "thing/Note.md"]
    (stand.root / "thing/Note.md").unlink()
    (stand.root / "thing").rmdir()
    stand.write("thing", "file")
    stand.commit()
    assert stand.sh("ls-files").split() == ["Home.md", "thing"]
    assert not stand.sh.status()


def test_a_sparse_checkout_deletes_nothing(stand: Stand) -> None:
    stand.write("in/A.md", "x")
    stand.write("out/B.md", "x")
    stand.commit()
    stand.sh("sparse-checkout", "set", "in")
    assert not (stand.root / "out/B.md").exists()
    assert stand.commit() is None
    assert "out/B.md" in stand.sh("ls-tree", "-r", "--name-only", "HEAD")


def test_hooks_and_sign_off_and_author_are_the_users(tmp_path: Path, environment: dict[str, str]) -> None:
    author = Author("Grace", "grace@example.org", sign_off=True)
    stand = make_stand(tmp_path, tmp_path / "vault", environment, CommitRules(author=author))
    stand.sh("init", "-q")
    hooks = {"pre-commit": "git diff --cached --name-only > ../seen", "commit-msg": 'echo "Hooked: yes" >> "$1"'}
    for name, script in {**hooks, "post-commit": "touch ../posted"}.items():
        hook = stand.write(f".git/hooks/{name}", f"#!/bin/sh\n{script}\n")
        hook.chmod(0o755)
    stand.write("One.md", "x")
    stand.write("Staged.md", "x")
    stand.sh("add", "Staged.md")
    stand.commit()
    assert (tmp_path / "seen").read_text() == "One.md\n"
    assert (tmp_path / "posted").exists()
    body = stand.sh("log", "-1", "--format=%an <%ae> %cn%n%B")
    assert body.startswith("Grace <grace@example.org> Ada\n")
    assert "Signed-off-by: Grace <grace@example.org>" in body
    assert "Hooked: yes" in body
    stand.database.close()


def test_a_hook_that_refuses_is_quoted_and_nothing_is_lost(stand: Stand) -> None:
    hook = stand.write(".git/hooks/pre-commit", "#!/bin/sh\necho 'no secrets please' >&2\nexit 1\n")
    hook.chmod(0o755)
    stand.write("One.md", "x")
    with pytest.raises(HookRefused, match="no secrets please"):
        stand.commit()
    assert stand.pending() == ["One.md"]
    hook.unlink()
    assert stand.commit() == "notes: create 1 (One)"


def test_without_any_identity_there_is_one(tmp_path: Path) -> None:
    environment = user_environment(tmp_path / "home")
    (tmp_path / "home/.gitconfig").write_text("[user]\n\tuseConfigOnly = true\n")
    stand = make_stand(tmp_path, tmp_path / "vault", environment)
    stand.sh("init", "-q")
    stand.write("One.md", "x")
    assert stand.commit() == "notes: create 1 (One)"
    assert stand.sh("log", "-1", "--format=%an").strip() == "Weave-NN"
    stand.database.close()


def test_faulty_notes_are_reported_and_block_only_if_asked(tmp_path: Path, environment: dict[str, str]) -> None:
    stand = make_stand(tmp_path, tmp_path / "vault", environment)
    stand.sh("init", "-q")
    stand.write("One.md", "---\nkey: [unclosed\n---\n[[Nowhere]]\n")
    assert stand.commit() == "notes: create 1 (One)"
    messages = [finding.message for finding in stand.git.status().findings]
    assert any("Nowhere" in message for message in messages)
    assert len(messages) == 2
    blocking = make_stand(tmp_path, tmp_path / "vault", environment, CommitRules(validation="block"))
    blocking.write("One.md", "[[Nobody]]\n")
    with pytest.raises(NotesRefused, match="Nobody"):
        blocking.commit()
    stand.database.close()
    blocking.database.close()


def test_a_symbolic_link_in_the_vault_is_committed_as_the_file_behind_it(stand: Stand) -> None:
    stand.write("real/Note.md", "x")
    (stand.root / "alias").symlink_to("real", target_is_directory=True)
    stand.write("New.md", "y")
    assert stand.commit() == "notes: create 2 (New, Note)"


def test_the_thread_commits_after_quiet_and_on_stopping(stand: Stand) -> None:
    made = threading.Event()
    stand.database.on_commit(lambda: made.set() if len(stand.sh.subjects()) > 1 else None)
    stand.committer.start()
    stand.write("One.md", "x")
    stand.carry()
    assert made.wait(20)
    assert stand.sh.subjects()[0] == "notes: create 1 (One)"
    stand.write("Two.md", "x")
    stand.carry()
    stand.committer.stop()
    assert stand.sh.subjects()[0] == "notes: create 1 (Two)"
    assert not stand.sh.status()
