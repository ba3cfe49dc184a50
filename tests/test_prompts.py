"""What a language model is shown: passages first, then the query; another wording is another prompt."""

from __future__ import annotations

from dataclasses import replace

import pytest

from uae_bench.prompts import INSTRUCT, PLAIN, answer_of, continuation, shown
from uae_bench.records import Passage

FIRST, SECOND = Passage("p1", "It was dug.", "Vell", "d"), Passage("p2", "{query} {text}", "", "d")


def test_passages_come_first_so_that_what_was_read_of_them_serves_every_query() -> None:
    prompt = PLAIN.answering("Who?", [FIRST, SECOND])
    assert prompt == "Passage: Vell: It was dug.\nPassage: {query} {text}\nQuestion: Who?\nAnswer:"
    assert PLAIN.answering("When?", [FIRST]).startswith(PLAIN.answering("Who?", [FIRST]).partition("Question")[0])


def test_closed_book_shows_the_query_alone() -> None:
    assert PLAIN.answering("Who?", []) == "Question: Who?\nAnswer:"


def test_braces_in_a_text_are_text() -> None:
    assert "{query} {text}" in PLAIN.answering("Who?", [SECOND])
    assert PLAIN.answering("{text}", [FIRST]).endswith("Question: {text}\nAnswer:")


def test_every_word_enters_the_digest() -> None:
    fields = ("name", "instruction", "passage", "answer", "judge")
    changed = {replace(INSTRUCT, **{field: getattr(INSTRUCT, field) + "."}).digest for field in fields}
    assert len({*changed, INSTRUCT.digest, PLAIN.digest}) == len(fields) + 2


def test_a_title_stands_before_its_text() -> None:
    assert (shown(FIRST), shown(SECOND)) == ("Vell: It was dug.", "{query} {text}")


def test_an_answer_follows_with_one_space() -> None:
    assert continuation(" Ana Torv\n") == " Ana Torv"


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("Ana  Torv", "Ana  Torv"),
        ("", ""),
        ("<think>Bo? No.</think>\n\nAna", "Ana"),
        ("Bo? No. </think> Ana", "Ana"),  # the prompt began the block
        ("<think>Bo?</think> Bo <think>no</think> Ana", "Ana"),
        ("<think>Bo? It may", ""),
        ("<think>Bo?</think>", ""),
        ("Ana <think>or", ""),
        ("a < b and <thinking>", "a < b and <thinking>"),
    ],
)
def test_what_is_reasoned_is_no_answer(text: str, answer: str) -> None:
    assert answer_of(text) == answer


def test_where_the_prompt_begins_to_reason_a_text_without_an_end_is_no_answer() -> None:
    assert answer_of("Bo? It may", reasoning=True) == ""
    assert answer_of("Bo? No. </think>Ana", reasoning=True) == "Ana"
