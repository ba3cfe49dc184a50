from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.metrics.parts import annotated, perfect, run_of
from uae_bench.errors import BadInput
from uae_bench.metrics import Judged, evaluate
from uae_bench.metrics.ranking import NOTHING_RELEVANT
from uae_bench.metrics.utility import NO_REFERENCE, NOTHING_HELPS, UNANSWERABLE_QUERY
from uae_bench.records import Value


def judged(ranking: str, utilities: dict[str, float]) -> Judged:
    return Judged(("q",), run_of({"q": ranking}), utilities={"q": utilities})


def only(measure: str, ranking: str, utilities: dict[str, float]) -> Value:
    return evaluate([measure], judged(ranking, utilities))[0]


UTILITIES = {"a": 2.0, "b": -1.0, "c": 0.5}


def test_expected_utility_is_the_mean_over_the_first_k() -> None:
    assert only("ExpUtil@1", "cab", UTILITIES).value == 0.5
    assert only("ExpUtil@2", "cab", UTILITIES).value == pytest.approx((0.5 + 2.0) / 2)


def test_a_passage_that_hurts_lowers_expected_utility() -> None:
    assert only("ExpUtil@2", "bac", UTILITIES).value == pytest.approx((-1.0 + 2.0) / 2)


def test_an_empty_rank_adds_nothing_to_expected_utility() -> None:
    assert only("ExpUtil@2", "a", UTILITIES).value == pytest.approx((2.0 + 0) / 2)


def test_a_pool_smaller_than_the_cutoff_divides_by_its_size() -> None:
    assert only("ExpUtil@10", "abc", UTILITIES).value == pytest.approx((2.0 - 1.0 + 0.5) / 3)


def test_utility_ndcg_takes_what_hurts_for_nothing() -> None:
    # gains 0, 2, 0.5 at ranks 1, 2, 3; ideal 2, 0.5
    log3 = math.log2(3)
    assert only("uNDCG@3", "bac", UTILITIES).value == pytest.approx((2 / log3 + 0.5 / 2) / (2 + 0.5 / log3))


def test_the_ideal_of_utility_ndcg_is_over_the_labelled_pool_and_not_the_ranking() -> None:
    assert only("uNDCG@1", "c", UTILITIES).value == pytest.approx(0.5 / 2.0)


def test_what_was_labelled_for_one_run_only_does_not_move_its_ideal() -> None:
    # the pool that all systems share holds a and c; z was labelled because this run retrieved it
    shared = {"q": frozenset("ac")}
    helped = replace(judged("zca", {"a": 2.0, "c": 0.5, "z": 1.0}), labelled_pool=shared)
    assert evaluate(["uNDCG@1"], helped)[0].value == pytest.approx(1.0 / 2.0)
    better = replace(judged("zca", {"a": 2.0, "c": 0.5, "z": 9.0}), labelled_pool=shared)
    assert evaluate(["uNDCG@1"], better)[0].value == 1.0  # outdoes the pool
    useless = replace(judged("zca", {"a": -2.0, "c": 0.0, "z": 1.0}), labelled_pool=shared)
    assert evaluate(["uNDCG@1"], useless)[0].why == NOTHING_HELPS  # for every system alike


@pytest.mark.parametrize("measure", ["ExpUtil@1", "uNDCG@1"])
@pytest.mark.parametrize(("pool", "said"), [({"q": frozenset("ab")}, "'b' of it has no utility"), ({}, "it is empty")])
def test_a_labelled_pool_must_have_been_labelled(measure: str, pool: dict[str, frozenset[str]], said: str) -> None:
    with pytest.raises(BadInput, match=said):
        evaluate([measure], replace(judged("a", {"a": 1.0}), labelled_pool=pool))


def test_utility_ndcg_is_undefined_where_nothing_helps() -> None:
    value = only("uNDCG@3", "ab", {"a": -0.5, "b": 0.0})
    assert math.isnan(value.value)
    assert value.why == NOTHING_HELPS


def test_expected_utility_is_defined_where_nothing_helps() -> None:
    assert only("ExpUtil@1", "ab", {"a": -0.5, "b": 0.0}).value == -0.5


@pytest.mark.parametrize("measure", ["ExpUtil@1", "uNDCG@1"])
def test_a_question_without_an_answer_has_no_utility(measure: str) -> None:
    unanswerable = {"q": (annotated("Unanswerable", kind="unanswerable"),)}
    for given_answers, why in [(unanswerable, UNANSWERABLE_QUERY), ({}, NO_REFERENCE)]:
        value = evaluate([measure], replace(perfect(), annotations=given_answers, utilities={}))[0]
        assert math.isnan(value.value)
        assert value.why == why != NOTHING_RELEVANT


@pytest.mark.parametrize("measure", ["ExpUtil@1", "uNDCG@1"])
def test_a_question_with_an_answer_must_have_been_labelled(measure: str) -> None:
    with pytest.raises(BadInput, match="has an answer, and no passage has a utility"):
        evaluate([measure], replace(perfect(), utilities={}))


def test_passages_that_were_never_labelled_are_named() -> None:
    with pytest.raises(BadInput, match="ranks e, d among the first 3"):
        only("ExpUtil@3", "aed", UTILITIES)


def test_unlabelled_passages_beyond_the_cutoff_do_not_matter() -> None:
    assert only("ExpUtil@1", "aed", UTILITIES).value == 2.0


def test_a_nan_utility_is_refused() -> None:
    with pytest.raises(BadInput, match="'b' for the query 'q' is nan"):
        only("ExpUtil@1", "a", {"a": 1.0, "b": math.nan})


@given(
    st.permutations("abcdef"),
    st.lists(st.integers(-3, 3), min_size=6, max_size=6).filter(lambda grades: max(grades) > 0),
    st.integers(1, 8),
)
def test_with_whole_gains_utility_ndcg_is_trec_evals_ndcg(order: list[str], grades: list[int], cutoff: int) -> None:
    utilities = dict(zip("abcdef", map(float, grades), strict=True))
    qrels = {"q": {passage: max(0, grade) for passage, grade in zip("abcdef", grades, strict=True)}}
    ours, theirs = evaluate(
        [f"uNDCG@{cutoff}", f"nDCG@{cutoff}"],
        Judged(("q",), run_of({"q": order}), qrels, utilities={"q": utilities}),
    )
    assert ours.value == pytest.approx(theirs.value, abs=1e-9)


@given(st.permutations("abcd"), st.lists(st.floats(-5, 5), min_size=4, max_size=4), st.integers(1, 6))
def test_the_best_order_has_the_greatest_value(order: list[str], gains: list[float], cutoff: int) -> None:
    utilities = dict(zip("abcd", gains, strict=True))
    best = sorted("abcd", key=lambda passage: -utilities[passage])
    for measure in (f"ExpUtil@{cutoff}", f"uNDCG@{cutoff}"):
        found = only(measure, "".join(order), utilities)
        ideal = only(measure, "".join(best), utilities)
        assert math.isnan(found.value) == math.isnan(ideal.value)
        assert not found.value > ideal.value + 1e-9
        if measure.startswith("uNDCG") and not math.isnan(ideal.value):
            assert ideal.value == pytest.approx(1)
