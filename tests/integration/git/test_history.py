import pytest

from integration.git.stand import Stand
from weave_nn.services.git.contract import NotInVersion, UnknownRevision
from weave_nn.services.git.service.git import TagExists
from weave_nn.services.git.service.restoring import NotKept
from weave_nn.services.git.service.starting import RepositoryExists
from weave_nn.shared.errors import InvalidInput
from weave_nn.vault.errors import StaleVersion

TEXT = "".join(f"line {number} of the plan\n" for number in range(20))


@pytest.fixture
def renamed(stand: Stand) -> Stand:
    """A note with five versions, renamed in the middle."""
    stand.write("Old name.md", TEXT)
    stand.commit()
    stand.write("Old name.md", TEXT + "two\n")
    stand.commit()
    (stand.root / "Old name.md").rename(stand.root / "\N{ROCKET} New.md")
    stand.commit()
    for version in ("three", "four"):
        stand.write("\N{ROCKET} New.md", TEXT + version + "\n")
        stand.write("Unrelated.md", version)
        stand.commit()
    return stand


def test_the_log_of_a_note_follows_its_renames(renamed: Stand) -> None:
    entries = renamed.git.log(path="\N{ROCKET} New.md").entries
    assert [entry.change for entry in entries] == ["update", "update", "rename", "update", "create"]
    assert entries[2].previous_path == "Old name.md"
    assert entries[-1].path == "Old name.md"
    assert entries[0].author == "Ada"


def test_the_log_is_paged_and_new_commits_do_not_shift_it(renamed: Stand) -> None:
    whole = [entry.commit for entry in renamed.git.log(path="\N{ROCKET} New.md").entries]
    seen: list[str] = []
    cursor = None
    while True:
        page = renamed.git.log(path="\N{ROCKET} New.md", limit=2, cursor=cursor)
        seen += [entry.commit for entry in page.entries]
        renamed.write("\N{ROCKET} New.md", TEXT + str(len(seen)))
        renamed.commit()
        cursor = page.next_cursor
        if cursor is None:
            break
    assert seen == whole
    with pytest.raises(InvalidInput, match="cursor"):
        renamed.git.log(cursor="nonsense")


def test_the_log_of_the_vault_lists_every_commit(renamed: Stand) -> None:
    first = renamed.git.log(limit=4)
    rest = renamed.git.log(limit=500, cursor=first.next_cursor)
    subjects = [entry.subject for entry in (*first.entries, *rest.entries)]
    assert subjects == renamed.sh.subjects()
    assert rest.next_cursor is None


def test_a_version_is_shown_under_the_name_that_it_had(renamed: Stand) -> None:
    shown = renamed.git.show("\N{ROCKET} New.md", revision="HEAD~3")
    assert (shown.path, shown.content) == ("Old name.md", (TEXT + "two\n").encode())
    with pytest.raises(NotInVersion):
        renamed.git.show("\N{ROCKET} New.md", revision="HEAD~5")
    for wrong in ("nope", "--all", "", "HEAD:Home.md", "HEAD~99", "a\nb"):
        with pytest.raises(UnknownRevision):
            renamed.git.show("Home.md", revision=wrong)


def test_differences_by_line_and_by_word(renamed: Stand) -> None:
    renamed.write("\N{ROCKET} New.md", TEXT + "four 日本人 naïve\n")
    by_line = renamed.git.diff(path="\N{ROCKET} New.md")
    assert "-four\n+four 日本人 naïve\n" in by_line.text
    renamed.commit()
    renamed.write("\N{ROCKET} New.md", TEXT + "four 日本語 naïfs\n")
    by_word = renamed.git.diff(path="\N{ROCKET} New.md", words=True)
    assert "four 日本[-人 naïve-]{+語 naïfs+}" in by_word.text
    across = renamed.git.diff(old="HEAD~5", new="HEAD~1", path="\N{ROCKET} New.md")
    assert "+four\n" in across.text
    assert across.complete
    assert renamed.git.diff(old="HEAD", new="HEAD").text == ""
    assert "Unrelated.md" in renamed.git.diff(old="HEAD~2", new="HEAD").text


def test_each_line_has_its_commit(renamed: Stand) -> None:
    renamed.write("\N{ROCKET} New.md", TEXT + "four\nuncommitted\n")
    lines = renamed.git.blame("\N{ROCKET} New.md")
    assert lines[0].subject == "notes: create 1 (Old name)"
    assert (lines[-1].commit, lines[-1].text) == (None, "uncommitted")
    assert [each.line for each in renamed.git.blame("\N{ROCKET} New.md", start_line=2, max_lines=3)] == [2, 3, 4]
    assert renamed.git.blame("\N{ROCKET} New.md", start_line=5000) == ()
    assert renamed.git.blame("\N{ROCKET} New.md", revision="HEAD~3")[-1].text == "two"
    renamed.write("Untracked.md", "x")
    with pytest.raises(NotInVersion):
        renamed.git.blame("Untracked.md")


def test_a_note_is_restored_as_a_new_change_and_the_present_one_is_kept(renamed: Stand) -> None:
    renamed.write("\N{ROCKET} New.md", "not committed yet\n")
    restored = renamed.restore.restore("\N{ROCKET} New.md", revision="HEAD~3")
    assert restored.written == ("\N{ROCKET} New.md",)
    assert renamed.read("\N{ROCKET} New.md") == TEXT + "two\n"
    assert renamed.git.show("\N{ROCKET} New.md", revision="HEAD").content == b"not committed yet\n"
    assert renamed.commit() is not None
    again = renamed.restore.restore("\N{ROCKET} New.md", revision="HEAD")
    assert (again.written, again.unchanged) == ((), 1)


def test_a_deleted_note_comes_back(renamed: Stand) -> None:
    (renamed.root / "Unrelated.md").unlink()
    renamed.commit()
    assert renamed.restore.restore("Unrelated.md", revision="HEAD~1").written == ("Unrelated.md",)
    assert renamed.read("Unrelated.md") == "four"


def test_a_folder_is_restored_and_what_came_since_is_kept(stand: Stand) -> None:
    for name in ("a", "b", "c"):
        stand.write(f"folder/{name}.md", f"first {name}")
    stand.commit()
    stand.write("folder/a.md", "second")
    (stand.root / "folder/b.md").unlink()
    stand.write("folder/new.md", "new")
    stand.commit()
    restored = stand.restore.restore("folder", revision="HEAD~1")
    assert restored.written == ("folder/a.md", "folder/b.md")
    assert (restored.unchanged, restored.kept) == (1, ("folder/new.md",))
    assert stand.read("folder/a.md") == "first a"


def test_a_restore_is_refused_where_there_is_no_way_back(stand: Stand) -> None:
    stand.write("Home.md", "staged")
    stand.sh("add", "Home.md")
    with pytest.raises(NotKept):
        stand.restore.restore("Home.md", revision="HEAD")
    assert stand.read("Home.md") == "staged"
    with pytest.raises(StaleVersion):
        stand.restore.restore("Home.md", revision="HEAD", if_match="0" * 64)
    seen = stand.files.stat_file("Home.md").etag
    assert stand.restore.restore("Home.md", revision="HEAD", if_match=seen).written == ("Home.md",)


def test_a_checkpoint_names_a_commit_and_a_tag(stand: Stand) -> None:
    stand.write("One.md", "x")
    stand.write("folder/Two.md", "x")
    made = stand.git.checkpoint("Before the workshop", path="folder", tag="workshop")
    assert (made.created, made.files, made.tag) == (True, 1, "workshop")
    assert stand.sh("log", "-1", "--format=%s", "workshop").strip() == "Before the workshop"
    assert stand.sh.status() == ["?? One.md"]
    with pytest.raises(TagExists):
        stand.git.checkpoint("again", tag="workshop")
    for wrong in ("-d", "a b", "x..y"):
        with pytest.raises(InvalidInput):
            stand.git.checkpoint("again", tag=wrong)
    stand.git.checkpoint("the rest")
    assert stand.git.checkpoint("nothing").created is False
    assert [event.data["files"] for event in stand.told("git.commit.created")] == [1, 1]
    with pytest.raises(RepositoryExists):
        stand.git.init()


def test_an_empty_repository_has_an_empty_log(bare_stand: Stand) -> None:
    bare_stand.sh("init", "-q")
    assert bare_stand.git.log().entries == ()
    assert bare_stand.git.status().commit is None
