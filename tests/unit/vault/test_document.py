import pytest

from weave_nn.vault.document import Document, TargetAmbiguous, TargetNotFound, document_map, document_map_v1

NOTE = b"""---
alpha: 1
tags: [x]
---
intro

# A
text ^t1

### Deep ###
deep

Under
-----

# Log
## Monday
one ^t1

# Log
## Tuesday

```
# no heading
```
"""


def texts(document: Document, *target: str, loose: bool = False) -> bytes:
    section = document.section(target, loose=loose)
    return document.content[section.start : section.end]


def test_a_section_goes_to_the_next_heading_of_the_same_or_a_higher_level() -> None:
    document = Document.of(NOTE)
    assert texts(document, "A") == NOTE[NOTE.index(b"# A") : NOTE.index(b"# Log")]
    assert texts(document, "A", "Deep") == b"### Deep ###\ndeep\n\n"
    assert texts(document, "A", "Under") == b"Under\n-----\n\n"
    assert texts(document) == NOTE[NOTE.index(b"intro") :]


def test_later_duplicates_have_an_address_of_their_own_and_their_children_are_found_by_text() -> None:
    document = Document.of(NOTE)
    first, second = (section for section in document.sections if section.address[-1:] and section.level == 1
                     and section.heading is not None and section.heading.text == "Log")  # fmt: skip
    assert first.address == ("Log",)
    assert second.address != first.address
    assert document.section(second.address) == second
    assert document.section(["Log"]) == first
    assert document.section(["Log", "Tuesday"]).address == (*second.address, "Tuesday")


def test_a_bare_name_is_found_only_when_asked_for_and_unique() -> None:
    document = Document.of(NOTE)
    assert texts(document, "## Monday", loose=True) == b"## Monday\none ^t1\n\n"
    with pytest.raises(TargetNotFound, match="Log/Monday"):
        document.section(["Monday"])
    with pytest.raises(TargetNotFound):
        document.section(["Friday"], loose=True)
    twice = Document.of(b"# A\n## X\n# B\n## X\n")
    with pytest.raises(TargetAmbiguous, match=r"A/X.*B/X"):
        twice.section(["X"], loose=True)
    assert twice.section(["B", "X"], loose=True).address == ("B", "X")


def test_the_map_is_a_tree_whose_paths_are_addresses() -> None:
    document, found = Document.of(NOTE), document_map(NOTE, version="v")
    duplicate = document.sections[-1].address[0]
    assert found["headings"] == {"A": {"Deep": {}, "Under": {}}, "Log": {"Monday": {}}, duplicate: {"Tuesday": {}}}
    assert found["blocks"][0] == "t1"
    assert len(found["blocks"]) == 2
    assert document.block(found["blocks"][1]).line == 18
    assert found["frontmatterFields"] == ["alpha", "tags"]
    assert found["version"] == "v"


def test_the_old_map_joins_paths() -> None:
    assert document_map_v1(NOTE) == {
        "headings": ["A", "A::Deep", "A::Under", "Log", "Log::Monday", "Log::Tuesday"],
        "blocks": ["^t1"],
        "frontmatterFields": ["alpha", "tags"],
    }


def test_a_note_of_many_equal_headings_is_mapped_quickly() -> None:
    found = document_map(b"# Same\n" * 10_000, version="v")
    assert len(found["headings"]) == 10_000
