"""Vault paths: what is accepted is canonical and stays inside, and everything else is refused with its reason."""

import os
import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from weave_nn.vault.errors import PathRefused
from weave_nn.vault.paths import folder_of, is_hidden, is_note, join, name_of, normalize, normalize_folder

_nasty = st.lists(
    st.one_of(
        st.sampled_from(
            ["..", ".", "/", "\\", "C:", ".git", "é", "e\u0301", " ", "aux", ".md", "\0", "~", "\u200c", "a"]
        ),
        st.text(max_size=4),
    ),
    max_size=8,
).map("".join)


def _accepted(raw: str, *, hidden: bool = False) -> str | None:
    try:
        return normalize(raw, hidden=hidden)
    except PathRefused:
        return None


@given(_nasty, st.booleans())
def test_what_is_accepted_is_canonical_and_never_leaves_the_root(raw: str, hidden: bool) -> None:  # noqa: FBT001 - drawn
    path = _accepted(raw, hidden=hidden)
    if path is None:
        return
    assert normalize(path, hidden=hidden) == path
    assert unicodedata.is_normalized("NFC", path)
    joined = os.path.normpath(os.path.join("/root/vault", path))  # noqa: PTH118 - the check must be independent
    assert joined == f"/root/vault/{path}"
    assert hidden or not is_hidden(path)


@given(_nasty)
def test_every_unicode_form_of_a_path_is_the_same_path(raw: str) -> None:
    forms = {_accepted(unicodedata.normalize(form, raw)) for form in ("NFC", "NFD")}
    assert len(forms) == 1


@pytest.mark.parametrize(
    "raw",
    [
        "Note.md",
        "Folder/Sub folder/Été 🌱.md",
        "👨\u200d👩\u200d👧.md",
        "To be continued....md",
        'a\'b "c" (d) [e] #f.md',
        "console.md",
        "communism/com10.md",
        "x" * 252 + ".md",
        "日本語/メモ.md",
        "git/GIT.md",
    ],
)
def test_ordinary_names_pass_unchanged(raw: str) -> None:
    assert normalize(raw) == raw


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        ("", "empty"),
        ("..", "'..'"),
        ("a/../b.md", "'..'"),
        ("./a.md", "'.'"),
        ("/etc/passwd", "absolute"),
        ("a//b.md", "empty segment"),
        ("a/", "empty segment"),
        ("..\\..\\a.md", "backslash"),
        ("\\\\server\\share\\a.md", "backslash"),
        ("C:/a.md", "drive"),
        ("c:a.md", "drive"),
        ("a\0.md", "control"),
        ("a\nb.md", "control"),
        ("a\x85b.md", "control"),
        ("CON", "device"),
        ("aux.md", "device"),
        ("folder/Nul.tar.gz", "device"),
        ("com1", "device"),
        ("LPT².md", "device"),
        ("nul .md", "device"),
        ("a.", "ends with"),
        ("folder /a.md", "ends with"),
        ("é" * 128, "255"),
        ("/".join(["x" * 200] * 11), "2048"),
        ("\ud800.md", "Unicode"),
        (".obsidian/app.json", "hidden"),
        (".OBSIDIAN/app.json", "hidden"),
        (".trash/a.md", "hidden"),
        ("a/.hidden.md", "hidden"),
        ("\u200c.trash/a.md", "hidden"),
        (".Git/config", "never served"),
    ],
)
def test_refusals_name_the_reason(raw: str, reason: str) -> None:
    with pytest.raises(PathRefused, match=re.escape(reason)) as caught:
        normalize(raw)
    assert caught.value.fields["field"] == "path"
    assert "\n" not in caught.value.detail


@pytest.mark.parametrize(
    "raw",
    [
        ".git/config",
        ".GIT/hooks/post-commit",
        "sub/.Git",
        ".g\u200cit/config",
        "git~1/config",
        ".git::$INDEX_ALLOCATION/config",
        ".weave-0123456789ab-filling.tmp",
        "a/.WEAVE-x.tmp",
    ],
)
def test_git_and_our_temporary_files_are_refused_even_when_hidden_ones_are_asked_for(raw: str) -> None:
    with pytest.raises(PathRefused):
        normalize(raw, hidden=True)


def test_hidden_paths_pass_when_asked_for() -> None:
    assert normalize(".obsidian/daily-notes.json", hidden=True) == ".obsidian/daily-notes.json"
    assert normalize(".gitignore", hidden=True) == ".gitignore"


def test_a_folder_may_be_the_root_and_may_end_with_a_slash() -> None:
    assert normalize_folder("") == normalize_folder("/") == ""
    assert normalize_folder("a/b/") == "a/b"
    with pytest.raises(PathRefused):
        normalize_folder("a//")


def test_helpers() -> None:
    assert is_note("a/B.MD")
    assert is_note("a.markdown")
    assert not is_note("a.md.png")
    assert (folder_of("a/b/c.md"), name_of("a/b/c.md"), folder_of("c.md")) == ("a/b", "c.md", "")
    assert (join("", "c.md"), join("a", "c.md")) == ("c.md", "a/c.md")
