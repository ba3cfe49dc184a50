"""Setwise: the heap against sorting, and answers that cannot be read."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.retrieval.scripted import Scripted, listed, places, reranker
from uae_bench.retrieval import RETRIEVERS
from uae_bench.retrieval.setwise import SetwiseSettings, heap_sort


def drive(worths: list[int], children: int, top: int) -> tuple[list[int], list[list[int]]]:
    """The sorted items and the groups compared, by a perfect judge."""
    sort, groups = heap_sort(len(worths), children, top), []
    try:
        group = next(sort)
        while True:
            groups.append(group)
            group = sort.send(max(range(len(group)), key=lambda place: worths[group[place]]))
    except StopIteration as done:
        return done.value, groups


@given(st.lists(st.integers(), unique=True, max_size=60), st.integers(1, 5), st.integers(1, 60))
def test_a_perfect_judge_sorts_the_first_ones(worths: list[int], children: int, top: int) -> None:
    found, groups = drive(worths, children, top)
    assert [worths[place] for place in found] == sorted(worths, reverse=True)[:top]
    assert all(2 <= len(group) <= children + 1 for group in groups)
    settings = SetwiseSettings(children=children, top=top)
    cost = RETRIEVERS["setwise"].cost
    assert cost is not None and len(groups) <= cost(settings, len(worths))[0]


def test_a_heap_of_five_by_hand() -> None:
    """Worths 1 5 2 4 3, three children: [0 1 2 3] with parent 0 and its child 1's child 4 first."""
    found, groups = drive([1, 5, 2, 4, 3], children=3, top=2)
    assert groups == [[1, 4], [0, 1, 2, 3], [0, 4], [0, 4, 2, 3]]
    assert found == [1, 3]


def best(prompt: str) -> str:
    shown = [(number, worth) for worth, number in re.findall(r"worth (\d+) \[(\d+)\]", prompt)]
    return f" [{max(shown, key=lambda row: int(row[1]))[0]}]"


def test_the_first_ones_are_sorted_and_the_others_keep_their_order() -> None:
    view, run = listed({"q": [f"worth {n}" for n in (3, 1, 4, 15, 9, 2, 6)], "r": ["worth 1"], "s": []})
    reranked = reranker("setwise", Scripted(best), top=3).rerank(view, run, depth=7)
    assert places(reranked.run, "q") == [3, 4, 6, 0, 1, 2, 5]
    assert {one.query: one.calls > 0 for one in reranked.asked} == {"q": True, "r": False, "s": False}
    assert all(set(one.outcomes) <= {"ok"} for one in reranked.asked)


@pytest.mark.parametrize(
    ("says", "outcome"),
    [("none of them", "wrong format"), ("none of the 2", "wrong format"), ("", "nothing"), ("[9]", "wrong format")],
)
def test_an_answer_that_names_none_leaves_the_parent(says: str, outcome: str) -> None:
    view, run = listed({"q": ["one", "two", "three", "four", "five"]})
    reranked = reranker("setwise", Scripted(lambda prompt: says)).rerank(view, run, depth=5)
    (asked,) = reranked.asked
    assert asked.outcomes == {outcome: asked.calls}
    assert asked.repairs == {"choices left as they were": asked.calls}
    assert places(reranked.run, "q")[0] == 0
