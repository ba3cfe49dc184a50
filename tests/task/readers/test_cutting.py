"""Cutting keeps every word, and a span finds exactly the passages that it touches."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from uae_bench.task.readers.cutting import cut, locate, occurrences

TEXTS = st.text(alphabet="ab \n\u00a0\u2003é", max_size=80)


@given(TEXTS, st.integers(1, 7))
def test_words_are_preserved_in_order(text: str, words: int) -> None:
    pieces = cut(text, words).passages()
    assert [word for piece in pieces for word in piece.split()] == text.split()
    assert all(len(piece.split()) == words for piece in pieces[:-1])
    assert all(1 <= len(piece.split()) <= words for piece in pieces)


@given(TEXTS, st.integers(1, 7), st.integers(0, 80), st.integers(0, 80))
def test_a_span_touches_a_passage_iff_they_share_a_character(text: str, words: int, start: int, length: int) -> None:
    pieces = cut(text, words)
    span = set(range(start, start + length))
    shared = [index for index, (first, last) in enumerate(pieces.spans) if span & set(range(first, last))]
    assert list(pieces.touched((start, start + length))) == shared


def test_a_span_over_a_border_touches_both_sides() -> None:
    # "one two | three four": [4, 13) is "two three"
    assert list(cut("one two three four", 2).touched((4, 13))) == [0, 1]
    assert list(cut("one two three four", 2).touched((4, 7))) == [0]


def test_the_blank_between_passages_belongs_to_none() -> None:
    assert list(cut("one two three four", 2).touched((7, 8))) == []


@given(TEXTS, st.integers(0, 40), st.integers(1, 6), st.integers(-5, 90))
def test_an_answer_is_found_at_its_nearest_exact_occurrence(text: str, at: int, length: int, offset: int) -> None:
    answer = text[at : at + length]
    starts = [start for start in range(len(text)) if text.startswith(answer, start)]
    found = locate(text, answer, offset)
    if not answer:
        assert found is None
    else:
        assert found in starts
        assert abs(found - offset) == min(abs(start - offset) for start in starts)


def test_an_answer_that_stands_nowhere_is_not_found() -> None:
    assert locate("abc", "d", 0) is None


def test_overlapping_occurrences_all_count() -> None:
    assert occurrences("aaa", "aa") == [0, 1]
