"""Which passage is d⁺, which are negatives, and what falls at the gate: worked by hand."""

from __future__ import annotations

from collections.abc import Mapping

from uae_bench.records import Passage, Query, Ranking, Run, TrainingSet, by_id
from uae_bench.systems.uae.data import CandidateSet, GateCounts, gated, labelled, nearest

QUERY = Query("q", "?", "doc")


def training_set(utilities: Mapping[str, float], evidence: str = "") -> TrainingSet:
    """One query over passages a, b, c, d, named best first by the first stage."""
    passages = by_id(Passage(letter, letter, "", "doc") for letter in "abcd")
    run = Run("first", 4, {"q": Ranking(("a", "b", "c", "d"), (4, 3, 2, 1))})
    return TrainingSet(passages, [QUERY], [], run, {"q": utilities}, {"q": frozenset(evidence)})


FOUR = {"a": 0.1, "b": 0.9, "c": 0.4, "d": 0.9}


def test_the_positive_is_the_evidence_even_where_another_has_more_utility() -> None:
    [item] = labelled([QUERY], training_set(FOUR, "c"), "evidence")
    assert (item.positive, item.rule) == ("c", "evidence")


def test_of_several_pieces_of_evidence_the_most_useful_is_positive_and_the_others_are_no_negatives() -> None:
    [item] = labelled([QUERY], training_set(FOUR, "ac"), "evidence")
    assert (item.positive, item.further_evidence) == ("c", ("a",))
    assert nearest(item, {"a": 0.9, "b": 0.8, "c": 0.7, "d": 0.6}, negatives=3) == ("b", "d")


def test_without_evidence_the_best_by_utility_is_positive_and_it_is_said() -> None:
    [item] = labelled([QUERY], training_set(FOUR), "evidence")
    assert (item.positive, item.rule) == ("b", "best-utility")  # b and d tie: the smaller id
    [outside] = labelled([QUERY], training_set(FOUR, "z"), "evidence")
    assert outside.rule == "best-utility"


def test_best_utility_on_request_passes_evidence_by() -> None:
    [item] = labelled([QUERY], training_set(FOUR, "c"), "best-utility")
    assert (item.positive, item.rule, item.further_evidence) == ("b", "best-utility", ())


def test_a_query_without_utilities_is_left_out() -> None:
    assert labelled([QUERY, Query("unanswerable", "?", "doc")], training_set({}), "evidence") == []


def test_nearest_takes_the_most_similar_and_decides_ties_by_id() -> None:
    [item] = labelled([QUERY], training_set(FOUR, "a"), "evidence")
    assert nearest(item, {"a": 1.0, "b": 0.2, "c": 0.5, "d": 0.5}, negatives=2) == ("c", "d")


def test_the_gate_keeps_what_is_near_and_worse_by_more_than_the_margin() -> None:
    [item] = labelled([QUERY], training_set(FOUR, "a"), "evidence")
    similarity = {"q": {"a": 0.9, "b": 0.8, "c": 0.7, "d": 0.1}}  # d is not among the two nearest
    rewards = {"q": {"a": 2.0, "b": 1.5, "c": 0.4, "d": -9.0}}  # gaps to a: b 0.5, c 1.6
    sets, counts = gated([item], similarity, rewards, negatives=2, margin=0.5, with_further_evidence=True)
    assert sets == [CandidateSet("q", "doc", ("a", "c"), (2.0, 0.4))]  # a gap of 0.5 is not above 0.5
    assert counts == GateCounts(queries=1, dropped=0, near=2, kept=1)


def test_further_evidence_passes_by_the_gate_into_sets_that_are_to_hold_it() -> None:
    [item] = labelled([QUERY], training_set(FOUR, "ac"), "evidence")
    rewards = {"q": {"a": 2.5, "b": -1.0, "c": 2.0, "d": 1.9}}  # a beats d⁺, and d is too near to it
    [[with_it], _] = gated([item], {"q": FOUR}, rewards, negatives=3, margin=0.5, with_further_evidence=True)
    assert with_it == CandidateSet("q", "doc", ("c", "a", "b"), (2.0, 2.5, -1.0), first_negative=2)
    [[without], counts] = gated([item], {"q": FOUR}, rewards, negatives=3, margin=0.5, with_further_evidence=False)
    assert without == CandidateSet("q", "doc", ("c", "b"), (2.0, -1.0))
    assert counts == GateCounts(queries=1, dropped=0, near=2, kept=1)


def test_a_query_that_loses_all_its_negatives_is_dropped_and_counted() -> None:
    [item] = labelled([QUERY], training_set(FOUR, "a"), "evidence")
    level = {"q": dict.fromkeys("abcd", 0.0)}
    sets, counts = gated([item], level, level, negatives=3, margin=0.0, with_further_evidence=True)
    assert sets == []
    assert counts == GateCounts(queries=1, dropped=1, near=3, kept=0)


def test_a_query_whose_only_candidate_is_the_positive_is_no_loss_of_the_gate() -> None:
    [item] = labelled([QUERY], training_set({"a": 1.0}, "a"), "evidence")
    sets, counts = gated(
        [item], {"q": {"a": 1.0}}, {"q": {"a": 1.0}}, negatives=3, margin=0.0, with_further_evidence=True
    )
    assert (sets, counts) == ([], GateCounts(queries=0, dropped=0, near=0, kept=0))
