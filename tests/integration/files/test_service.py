import threading
from collections.abc import Iterator
from datetime import date
from typing import TYPE_CHECKING

import pytest

from weave_nn.services.files.contract import Operation
from weave_nn.services.files.events import LineEdit
from weave_nn.services.files.service import FileService
from weave_nn.services.files.service.line_edits import LineNotFound
from weave_nn.shared.errors import InvalidInput, TooLarge
from weave_nn.vault.errors import AlreadyExists, NoteNotFound, PathRefused, StaleVersion
from weave_nn.vault.periodic import Period
from weave_nn.vault.store import etag_of

if TYPE_CHECKING:
    from integration.files.conftest import Stand


def test_what_is_written_is_what_is_read(stand: "Stand") -> None:
    written = stand.files.create_file("Folder/ü ⛵.md", b"text")
    assert written.created
    read = stand.files.read_file("Folder/ü ⛵.md")
    assert (read.content, read.info.etag) == (b"text", written.etag)
    assert written.etag == etag_of(b"text")


def test_creating_refuses_to_overwrite(stand: "Stand") -> None:
    stand.files.create_file("a.md", b"mine")
    with pytest.raises(AlreadyExists):
        stand.files.create_file("a.md", b"yours")
    assert stand.read("a.md") == "mine"


def test_a_stale_version_is_refused_with_the_present_one(stand: "Stand") -> None:
    first = stand.files.create_file("a.md", b"one")
    stand.write("a.md", "by Obsidian")
    with pytest.raises(StaleVersion) as refusal:
        stand.files.write_file("a.md", b"two", if_match=first.etag)
    assert refusal.value.fields["current_etag"] == etag_of(b"by Obsidian")
    assert stand.read("a.md") == "by Obsidian"


def test_of_many_writers_who_saw_one_version_one_wins(stand: "Stand") -> None:
    seen = stand.files.create_file("a.md", b"start").etag
    outcomes: list[str] = []

    def write(number: int) -> None:
        try:
            outcomes.append(stand.files.write_file("a.md", b"%d" % number, if_match=seen).etag)
        except StaleVersion:
            outcomes.append("stale")

    threads = [threading.Thread(target=write, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcome == "stale" for outcome in outcomes) == [False] + [True] * 7
    assert stand.files.read_file("a.md").info.etag in outcomes


def test_appending_from_many_threads_loses_no_line(stand: "Stand") -> None:
    stand.files.create_file("log.md", b"# Log\n")

    def append(number: int) -> None:
        for line in range(10):
            stand.files.append_file("log.md", f"- {number}.{line}".encode())

    threads = [threading.Thread(target=append, args=(number,)) for number in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    lines = stand.read("log.md").splitlines()
    assert sorted(lines[1:]) == sorted(f"- {number}.{line}" for number in range(5) for line in range(10))


def test_moving_rewrites_every_link(stand: "Stand") -> None:
    stand.write("a/Plan.md", "# Plan\n[[Other#Part|see]] ![](./pic.png)\n")
    stand.write("a/pic.png", "png")
    stand.write("Other.md", "---\nup: '[[Plan]]'\n---\n[[Plan]] ![[Plan#Plan]] [p](a/Plan.md#x) `[[Plan]]`\n")
    stand.settle()
    moved = stand.files.move_file("a/Plan.md", "b/New Plan.md")
    assert (moved.path, moved.moved) == ("b/New Plan.md", (("a/Plan.md", "b/New Plan.md"),))
    assert stand.read("Other.md") == (
        "---\nup: '[[New Plan]]'\n---\n[[New Plan]] ![[New Plan#Plan]] [p](b/New%20Plan.md#x) `[[Plan]]`\n"
    )
    assert stand.read("b/New Plan.md") == "# Plan\n[[Other#Part|see]] ![](../a/pic.png)\n"
    assert ("renamed", "b/New Plan.md") in stand.told()
    assert stand.settle() == []


def test_moving_a_folder_takes_everything_along(stand: "Stand") -> None:
    stand.write("old/a.md", "[[b]]")
    stand.write("old/deep/b.md", "[[old/a]]")
    stand.write("c.md", "[[old/deep/b|x]]")
    stand.settle()
    stand.files.move_file("old", "new")
    assert stand.read("c.md") == "[[new/deep/b|x]]"
    assert stand.read("new/deep/b.md") == "[[new/a]]"
    assert not (stand.root / "old").exists()


@pytest.mark.parametrize("destination", ["taken.md", "../out.md", ".git/x.md", "a.md"])
def test_a_move_that_cannot_be_is_refused_whole(stand: "Stand", destination: str) -> None:
    stand.write("a.md", "text")
    stand.write("taken.md", "taken")
    stand.write("c.md", "[[a]]")
    stand.settle()
    with pytest.raises((AlreadyExists, PathRefused, InvalidInput)):
        stand.files.move_file("a.md", destination)
    assert stand.read("c.md") == "[[a]]"
    assert stand.settle() == []


def test_deleting_and_restoring(stand: "Stand") -> None:
    stand.files.create_file("sub/a.md", b"first")
    trashed = stand.files.delete_file("sub/a.md")
    assert trashed is not None
    stand.files.create_file("sub/a.md", b"second")
    stand.files.delete_file("sub/a.md")
    assert {item.path for item in stand.files.list_trash()} == {"sub/a.md"}
    assert len(stand.files.list_trash()) == 2
    restored = stand.files.restore_file(trashed.trash_path)
    assert (restored.path, stand.read("sub/a.md")) == ("sub/a.md", "first")
    with pytest.raises(AlreadyExists):
        stand.files.restore_file(stand.files.list_trash()[0].trash_path)


def test_deleting_a_folder_and_for_good(stand: "Stand") -> None:
    stand.files.create_file("sub/a.md", b"a")
    stand.files.create_file("sub/deep/b.md", b"b")
    assert stand.files.delete_file("sub") is not None
    assert not (stand.root / "sub").exists()
    assert stand.read(".trash/sub/deep/b.md") == "b"
    stand.files.restore_file(".trash/sub")
    assert (stand.read("sub/a.md"), stand.read("sub/deep/b.md")) == ("a", "b")
    assert stand.settle()[-2:] == [("created", "sub/a.md"), ("created", "sub/deep/b.md")]
    stand.files.create_file("c.md", b"c")
    assert stand.files.delete_file("c.md", permanent=True) is None
    assert not (stand.root / ".trash/c.md").exists()


def test_a_batch_is_made_whole_or_not_at_all(stand: "Stand") -> None:
    stand.files.create_file("a.md", b"a")
    stand.files.create_file("b.md", b"[[a]]")
    with pytest.raises(AlreadyExists):
        stand.files.run_batch([Operation("create", "new.md", b"x"), Operation("create", "b.md", b"y")])
    assert not (stand.root / "new.md").exists()
    results = stand.files.run_batch(
        [
            Operation("create", "new.md", b"x"),
            Operation("move", "a.md", destination="c.md"),
            Operation("append", "log.md", b"line"),
        ],
    )
    assert len(results) == 3
    assert stand.read("b.md") == "[[c]]"
    with pytest.raises(InvalidInput, match="Two operations"):
        stand.files.run_batch([Operation("update", "b.md", b"1"), Operation("delete", "b.md")])


def test_big_files_are_streamed_and_bounded(stand: "Stand") -> None:
    def chunks(count: int) -> Iterator[bytes]:
        for _ in range(count):
            yield b"x" * 10_000

    stand.files.create_file("big.bin", chunks(50))
    assert stand.files.stat_file("big.bin").size == 500_000
    part = stand.files.stream_file("big.bin", start=499_990, length=100)
    assert b"".join(part.chunks) == b"x" * 10
    with pytest.raises(TooLarge):
        stand.files.create_file("huge.bin", chunks(101))
    with pytest.raises(TooLarge):
        stand.files.create_file("long.md", chunks(11))
    assert sorted(path.name for path in stand.root.iterdir()) == ["big.bin"]


def test_listing_pages_through_everything_once(stand: "Stand") -> None:
    for number in range(25):
        stand.files.create_file(f"{number % 3}/{number:02}.md", b"x" * number)
    stand.files.create_file("0/z.txt", b"")
    for sort in ("path", "-path", "size", "-size", "modified", "-modified"):
        seen: list[str] = []
        cursor = None
        while True:
            page = stand.files.list_files(glob="**/*.md", sort=sort, limit=7, cursor=cursor)
            seen += [file.path for file in page.files]
            cursor = page.next_cursor
            if cursor is None:
                break
        assert len(seen) == len(set(seen)) == 25
    assert [file.path for file in stand.files.list_files(folder="2", sort="-size", limit=1).files] == ["2/23.md"]
    with pytest.raises(InvalidInput, match="cursor"):
        stand.files.list_files(cursor="nonsense")


def test_periodic_notes_follow_the_vaults_settings(stand: "Stand") -> None:
    stand.write(".obsidian/daily-notes.json", '{"folder": "Daily", "format": "YYYY/MM-DD", "template": "T"}')
    stand.write("T.md", "# {{title}} {{date:D.M.}}\n")
    written = stand.files.open_periodic(Period.DAILY, date(2026, 11, 23))
    assert written.path == "Daily/2026/11-23.md"
    assert stand.read("Daily/2026/11-23.md") == "# 11-23 23.11.\n"
    assert not stand.files.open_periodic(Period.DAILY, date(2026, 11, 23)).created


def edit(stand: "Stand", edit_id: str, *edits: LineEdit, create: bool = False) -> None:
    with stand.database.write() as work:
        service = stand.service(work)  # type: ignore[operator]  # a factory
        assert isinstance(service, FileService)
        service.edit_note("tasks.md", edit_id, edits, stand.ledger, create=create)


def test_line_edits_touch_nothing_else(stand: "Stand") -> None:
    stand.write("tasks.md", "# A\r\n- [ ] one\r\n\r\n# B\r\n- [ ] one\r\n- [ ] two")
    edit(stand, "1", LineEdit("replace", old="- [ ] one", new="- [x] one", line=5))
    assert stand.read("tasks.md") == "# A\r\n- [ ] one\r\n\r\n# B\r\n- [x] one\r\n- [ ] two"
    edit(stand, "2", LineEdit("insert", new="- [ ] new", heading="A"), LineEdit("delete", old="- [x] one"))
    assert stand.read("tasks.md") == "# A\r\n- [ ] one\r\n- [ ] new\r\n\r\n# B\r\n- [ ] two"
    edit(stand, "3", LineEdit("insert", new="- [ ] last"))
    assert stand.read("tasks.md").endswith("- [ ] two\r\n- [ ] last\r\n")


def test_a_line_edit_is_made_once_however_often_it_comes(stand: "Stand") -> None:
    for _ in range(3):
        edit(stand, "same", LineEdit("insert", new="- [ ] once", heading="Inbox"), create=True)
    assert stand.read("tasks.md") == "## Inbox\n\n- [ ] once\n"
    stand.write("tasks.md", "## Inbox\n\n- [ ] once\n- [ ] by hand\n")
    edit(stand, "same", LineEdit("insert", new="- [ ] once", heading="Inbox"), create=True)
    assert stand.read("tasks.md") == "## Inbox\n\n- [ ] once\n- [ ] by hand\n"


def test_a_line_that_is_not_there_rejects_the_whole_edit(stand: "Stand") -> None:
    stand.write("tasks.md", "- [ ] one\n")
    with pytest.raises(LineNotFound):
        edit(stand, "1", LineEdit("insert", new="x"), LineEdit("replace", old="gone", new="y"))
    assert stand.read("tasks.md") == "- [ ] one\n"
    with pytest.raises(NoteNotFound):
        stand.files.read_file("missing.md")


@pytest.mark.parametrize(
    ("before", "added", "after"),
    [
        ("# A\n- one\n\n# B\n", "- two", "# A\n- one\n- two\n\n# B\n"),
        ("# A\ntext\n# B\n", "more", "# A\ntext\n\nmore\n# B\n"),
        ("# A\r\n1. one", "2. two", "# A\r\n1. one\r\n2. two\r\n"),
        ("text", "- one", "text\n\n## A\n\n- one\n"),
        ("", "x", "## A\n\nx\n"),
        ("# A\n", "x", "# A\n\nx\n"),
    ],
)
def test_appending_to_a_section(stand: "Stand", before: str, added: str, after: str) -> None:
    stand.write("a.md", before)
    stand.files.append_file("a.md", added.encode(), heading="A")
    assert stand.read("a.md") == after
