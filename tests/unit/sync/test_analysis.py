import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from weave_nn.services.sync.adapters.fulltext.analysis import fold, fold_with_origins, index_terms, pattern, phrase

MIXED = st.text(alphabet="abÄßéİ ё日本語がか한국ก็ขعَرб😀👍🏽-_.'①ﬁ½ \n", max_size=30)


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ("Foo-bar, BAZ_qux 3.14", "foo bar baz qux 3 14"),
        ("Straße STRASSE Müller", "strasse strasse muller"),
        ("Mu\u0308ller ﬁn ①", "muller fin 1"),
        ("Ёлка и ёж", "елка и еж"),
        ("日本語", "日本 本語 語"),
        ("日", "日"),
        ("か\u3099っこう", "がっ っこ こう う"),
        ("ガッコウ ｶﾞ", "ガッ ッコ コウ ウ ガ"),
        ("한국어 \u1112\u1161\u11ab", "한국 국어 어 한"),
        ("中文search引擎", "中文 文 search 引擎 擎"),
        ("مُحَمَّد أحمد", "محمد احمد"),
        ("ภาษาไทย", "ภา าษ ษา าไ ไท ทย ย"),
        ("हिन्दी", "हिन्दी"),
        ("done ✅ 👍🏽 👩‍💻", "done ✅ 👍 👩 💻"),
        ("❤️", "❤"),
        ("", ""),
    ],
)
def test_cuts_into_terms(text: str, terms: str) -> None:
    assert index_terms(text).split() == terms.split()


@given(MIXED)
def test_folding_twice_changes_nothing(text: str) -> None:
    assert fold(fold(text)) == fold(text)


@given(MIXED)
def test_folding_with_origins_folds_alike(text: str) -> None:
    folded = fold_with_origins(text)
    assert folded.text == fold(text)
    assert len(folded.starts) == len(folded.ends) == len(folded.text)
    assert all(start < end <= len(text) for start, end in zip(folded.starts, folded.ends, strict=True))


@given(MIXED, MIXED, MIXED)
def test_what_stands_in_a_text_is_found_in_its_terms_and_by_its_pattern(before: str, asked: str, after: str) -> None:
    wanted = phrase(asked)
    if wanted is None:
        return
    text = f"{before} {asked} {after}"
    last = re.escape(wanted.terms[-1]) + ("" if wanted.prefix else "(?= |$)")
    expected = "(?:^| )" + " ".join([*(re.escape(term) for term in wanted.terms[:-1]), last])
    assert re.search(expected, " ".join(index_terms(text).split()))
    assert pattern(wanted).search(fold(text))


@given(MIXED, MIXED)
def test_the_pattern_finds_only_what_the_terms_hold(text: str, asked: str) -> None:
    wanted = phrase(asked)
    if wanted is not None and not wanted.prefix and pattern(wanted).search(fold(text)):
        assert f" {' '.join(wanted.terms)} " in f" {' '.join(index_terms(text).split())} "
