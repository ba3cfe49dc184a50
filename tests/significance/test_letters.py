from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from uae_bench.errors import BadInput
from uae_bench.records import Comparison, Interval
from uae_bench.significance import standings, tie_groups


def compared(system: str, baseline: str, p: float, effective: float = 40.0, measure: str = "AP") -> Comparison:
    return Comparison(system, baseline, measure, 0.1, Interval(0, 0.2), p, p, 400, 50, effective)


MEANS = {"bm25": 0.5, "dense": 0.6, "uae": 0.7}


def rows(**p: float) -> list[Comparison]:
    """A comparison for each pair of systems, spelled one_other, with its p."""
    pairs = [(*pair.partition("_")[::2], value) for pair, value in p.items()]
    return [compared(system, baseline, value) for system, baseline, value in pairs]


def test_neighbours_that_are_not_apart_share_a_letter() -> None:
    found = standings(MEANS, rows(dense_bm25=0.3, uae_bm25=0.01, uae_dense=0.2))
    assert [(row.system, row.letters, row.best_rank, row.worst_rank, row.bold) for row in found] == [
        ("uae", ("a",), 1, 2, False),
        ("dense", ("a", "b"), 1, 3, False),
        ("bm25", ("b",), 2, 3, False),
    ]


def test_only_a_system_significantly_better_than_every_other_is_bold() -> None:
    found = standings(MEANS, rows(dense_bm25=0.3, uae_bm25=0.01, uae_dense=0.05))
    assert [(row.system, row.bold) for row in found] == [("uae", True), ("dense", False), ("bm25", False)]
    assert [row.letters for row in found] == [("a",), ("b",), ("b",)]


def test_where_lower_is_better_the_order_turns() -> None:
    found = standings(MEANS, rows(dense_bm25=0.01, uae_bm25=0.01, uae_dense=0.01), higher_is_better=False)
    assert [(row.system, row.best_rank, row.worst_rank, row.bold) for row in found] == [
        ("bm25", 1, 1, True),
        ("dense", 2, 2, False),
        ("uae", 3, 3, False),
    ]


def test_below_twenty_effective_documents_there_are_no_letters_and_no_bold_and_the_reason_is_given() -> None:
    few = [compared(a, b, 0.0001, effective=19.9) for a, b in itertools.combinations(MEANS, 2)]
    for row in standings(MEANS, few):
        assert (row.letters, row.bold, row.best_rank, row.worst_rank) == ((), False, 1, 3)
        assert row.why == "only 19.9 effective documents, fewer than 20"


def test_a_system_alone_is_not_the_best_of_anything() -> None:
    (only,) = standings({"uae": 0.7}, [])
    assert (only.letters, only.bold) == (("a",), False)


def test_a_pair_that_was_not_compared_is_an_error() -> None:
    with pytest.raises(BadInput, match="were not compared"):
        standings(MEANS, rows(uae_bm25=0.01, dense_bm25=0.01))


def test_comparisons_of_two_measures_are_refused() -> None:
    with pytest.raises(BadInput, match="AP, RR"):
        standings(MEANS, [compared("uae", "bm25", 0.1), compared("uae", "bm25", 0.1, measure="RR")])


def test_the_twenty_seventh_group_has_a_letter_of_its_own() -> None:
    names = [f"s{index:02}" for index in range(28)]
    every = [compared(a, b, 0.001) for a, b in itertools.combinations(names, 2)]
    letters = [row.letters for row in standings({name: float(index) for index, name in enumerate(names)}, every)]
    assert [letters[0], letters[25], letters[26], letters[27]] == [("a",), ("z",), ("a2",), ("b2",)]


def test_a_circle_of_differences_needs_a_group_for_each_tie() -> None:
    # 0–1, 1–2, 2–3 and 3–0 are ties, the diagonals are apart
    apart = {frozenset({0, 2}), frozenset({1, 3})}
    assert tie_groups(4, apart) == [frozenset({0, 1}), frozenset({0, 3}), frozenset({1, 2}), frozenset({2, 3})]


@given(st.integers(1, 7).flatmap(lambda n: st.tuples(st.just(n), st.sets(st.integers(0, n * n - 1)))))
def test_two_systems_share_a_group_exactly_if_they_are_not_apart(drawn: tuple[int, set[int]]) -> None:
    count, codes = drawn
    apart = {frozenset(divmod(code, count)) for code in codes if code // count != code % count}
    groups = tie_groups(count, apart)
    for pair in itertools.combinations(range(count), 2):
        assert any(set(pair) <= group for group in groups) == (frozenset(pair) not in apart)
    assert not any(one < other for one in groups for other in groups)  # none is superfluous
    assert set().union(*groups) == set(range(count))
