from __future__ import annotations

import itertools
import math

import ir_measures
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.metrics.parts import run_of
from uae_bench.metrics import Judged, evaluate, summarise, values_of
from uae_bench.metrics.ranking import untied_scores
from uae_bench.records import Ranking, Run


def value(measure: str, ranking: str, qrels: dict[str, int], *, depth: int = 10) -> float:
    return evaluate([measure], Judged(("q",), run_of({"q": ranking}, depth=depth), {"q": qrels}))[0].value


def test_ap_divides_by_all_relevant_passages() -> None:
    # relevant: b, d, z (z never retrieved); hits at ranks 2 and 4: (1/2 + 2/4) / 3
    assert value("AP", "abcd", {"b": 1, "d": 1, "z": 1}) == pytest.approx(1 / 3)


def test_ndcg_discounts_grades_by_log2_of_one_plus_rank() -> None:
    # gains 1, 0, 2 at ranks 1, 2, 3: 1 + 2/log2(4) = 2; ideal 2, 1: 2 + 1/log2(3)
    assert value("nDCG@3", "abc", {"a": 1, "c": 2}) == pytest.approx(2 / (2 + 1 / math.log2(3)))


def test_ndcg_cuts_the_ideal_too() -> None:
    # one rank is looked at: grade 1 where 2 was to be had
    assert value("nDCG@1", "abc", {"a": 1, "c": 2}) == pytest.approx(1 / 2)


def test_recall_and_success_part_ways_where_there_are_several_relevant_passages() -> None:
    qrels = {"a": 1, "c": 1, "x": 1, "y": 1}  # of four, one stands first and two among the first three
    assert [value(m, "abc", qrels) for m in ("R@1", "R@3", "Success@1", "Success@3")] == [0.25, 0.5, 1.0, 1.0]


def test_precision_divides_by_the_cutoff_even_where_less_was_retrieved() -> None:
    assert value("P@5", "ab", {"a": 1, "b": 1}) == pytest.approx(2 / 5)


def test_rr_is_the_inverse_of_the_first_relevant_rank_and_zero_beyond_its_cutoff() -> None:
    found = [value(m, "abcd", {"c": 1, "d": 1}) for m in ("RR", "RR@3", "RR@2")]
    assert found == [pytest.approx(1 / 3), pytest.approx(1 / 3), 0.0]


@pytest.mark.parametrize("rank", range(1, 60))
def test_rr_at_its_very_cutoff_counts(rank: int) -> None:
    ids = [f"p{index}" for index in range(60)]
    judged = Judged(("q",), run_of({"q": ids}, depth=60), {"q": {ids[rank - 1]: 1}})
    at, before = evaluate([f"RR@{rank}", f"RR@{rank + 1}"], judged)
    assert at.value == before.value == pytest.approx(1 / rank)


def test_grade_zero_is_not_relevant_and_a_query_with_nothing_else_is_undefined() -> None:
    judged = Judged(("q",), run_of({"q": "ab"}), {"q": {"a": 0, "b": 0}})
    only = evaluate(["R@2"], judged)[0]
    assert math.isnan(only.value)
    assert only.why == "no passage is judged relevant"


def test_judged_but_not_retrieved_is_zero() -> None:
    assert value("AP", "ab", {"z": 1}) == 0.0


def test_the_mean_runs_over_the_qrels_and_counts_what_it_leaves_out() -> None:
    run = run_of({"hit": "a", "miss": "b", "unjudged": "c"})
    judged = Judged(tuple(run.rankings), run, {"hit": {"a": 1}, "miss": {"a": 1}})
    (mean,) = summarise(evaluate(["Success@1"], judged))
    assert (mean.value, mean.n, mean.undefined) == (0.5, 2, 1)


def test_equal_scores_cannot_be_reordered_by_trec_eval() -> None:
    # trec_eval breaks ties by descending id and would put "z" before "a"; the run has "a" first
    run = Run("constant", 2, {"q": Ranking(("a", "z"), (1.0, 1.0))})
    assert evaluate(["RR"], Judged(("q",), run, {"q": {"a": 1}}))[0].value == 1.0


def test_scores_too_close_for_float32_keep_their_order() -> None:
    run = Run("close", 2, {"q": Ranking(("b", "a"), (1.0 + 1e-12, 1.0))})
    assert evaluate(["RR"], Judged(("q",), run, {"q": {"b": 1}}))[0].value == 1.0


def test_handed_over_scores_are_depth_minus_rank() -> None:
    assert untied_scores(run_of({"q": "bca"}, depth=3), "q") == {"b": 2, "c": 1, "a": 0}


# The text formats of trec_eval: "query 0 passage grade" and "query Q0 passage rank score tag".
QRELS = """\
301 0 FT1 1
301 0 FT2 0
301 0 FT3 1
302 0 FT4 2
302 0 FT5 1
302 0 FT9 1
"""
RUN = """\
301 Q0 FT2 1 9.5 tag
301 Q0 FT1 2 9.0 tag
301 Q0 FT7 3 8.0 tag
301 Q0 FT3 4 7.5 tag
302 Q0 FT5 1 3.0 tag
302 Q0 FT4 2 2.5 tag
302 Q0 FT8 3 2.0 tag
"""


def read_trec() -> Judged:
    qrels: dict[str, dict[str, int]] = {}
    for query, _, passage, grade in map(str.split, QRELS.splitlines()):
        qrels.setdefault(query, {})[passage] = int(grade)
    scores: dict[str, dict[str, float]] = {}
    for query, _, passage, _, score, _ in map(str.split, RUN.splitlines()):
        scores.setdefault(query, {})[passage] = float(score)
    return Judged(tuple(qrels), Run("tag", 4, {q: Ranking.from_scores(found, 4) for q, found in scores.items()}), qrels)


def test_trec_text_files_give_the_values_worked_out_by_hand() -> None:
    values = evaluate(["AP", "RR", "P@2", "R@3", "nDCG@3"], read_trec())
    # 301: relevant at ranks 2 and 4 of 2 relevant; 302: at ranks 1 and 2 of 3, grades 1 and 2
    assert values_of(values, "AP") == pytest.approx({"301": (1 / 2 + 2 / 4) / 2, "302": (1 + 1) / 3})
    assert values_of(values, "RR") == pytest.approx({"301": 1 / 2, "302": 1.0})
    assert values_of(values, "P@2") == pytest.approx({"301": 1 / 2, "302": 1.0})
    assert values_of(values, "R@3") == pytest.approx({"301": 1 / 2, "302": 2 / 3})
    log3 = math.log2(3)
    assert values_of(values, "nDCG@3") == pytest.approx(
        {"301": (1 / log3) / (1 + 1 / log3), "302": (1 + 2 / log3) / (2 + 1 / log3 + 1 / 2)}
    )


@pytest.mark.parametrize("measure", ["AP", "AP@2", "RR", "P@2", "R@3", "nDCG", "nDCG@3", "Success@1"])
def test_trec_text_files_give_what_ir_measures_makes_of_them(measure: str) -> None:
    judged = [
        ir_measures.Qrel(query, passage, int(grade)) for query, _, passage, grade in map(str.split, QRELS.splitlines())
    ]
    scored = [
        ir_measures.ScoredDoc(query, passage, float(score))
        for query, _, passage, _, score, _ in map(str.split, RUN.splitlines())
    ]
    theirs = ir_measures.iter_calc([ir_measures.parse_measure(measure)], judged, scored)
    assert values_of(evaluate([measure], read_trec()), measure) == {
        metric.query_id: pytest.approx(metric.value) for metric in theirs
    }


rankings = st.lists(st.sampled_from("abcdefgh"), unique=True, max_size=8)
judgements = st.dictionaries(st.sampled_from("abcdefghxyz"), st.integers(0, 3), min_size=1).filter(
    lambda grades: max(grades.values()) > 0
)
BOUNDED = ["AP", "AP@3", "RR", "RR@2", "nDCG", "nDCG@3", "R@1", "R@3", "P@3", "Success@1", "Success@3"]


def all_values(ranking: list[str], qrels: dict[str, int]) -> dict[str, float]:
    values = evaluate(BOUNDED, Judged(("q",), run_of({"q": ranking}), {"q": qrels}))
    return {value.measure: value.value for value in values}


@given(rankings, judgements)
def test_values_stay_in_bounds_and_keep_the_order_that_definitions_force(
    ranking: list[str], qrels: dict[str, int]
) -> None:
    found = all_values(ranking, qrels)
    assert all(0 <= value <= 1 + 1e-12 for value in found.values())
    assert found["R@1"] <= found["R@3"] + 1e-12
    assert found["Success@1"] <= found["Success@3"]
    assert found["R@3"] <= found["Success@3"] + 1e-12
    assert found["RR@2"] <= found["RR"]
    # each relevant passage among the first three adds at least 1/3 of its share, the first one all of it
    assert found["AP"] >= found["R@1"] + (found["R@3"] - found["R@1"]) / 3 - 1e-12


@given(rankings, judgements, st.integers(0, 6))
def test_swapping_a_better_passage_upwards_never_lowers_a_value(
    ranking: list[str], qrels: dict[str, int], place: int
) -> None:
    if place + 1 >= len(ranking) or qrels.get(ranking[place], 0) >= qrels.get(ranking[place + 1], 0):
        return
    swapped = [*ranking[:place], ranking[place + 1], ranking[place], *ranking[place + 2 :]]
    before, after = all_values(ranking, qrels), all_values(swapped, qrels)
    assert all(after[measure] >= before[measure] - 1e-12 for measure in BOUNDED)


@settings(max_examples=30)
@given(st.dictionaries(st.sampled_from("123456"), st.tuples(rankings, judgements), min_size=1), st.randoms())
def test_a_query_is_measured_alike_whatever_stands_around_it(
    split: dict[str, tuple[list[str], dict[str, int]]], random: object
) -> None:
    queries = sorted(split)
    run = run_of({query: ranking for query, (ranking, _) in split.items()})
    qrels = {query: grades for query, (_, grades) in split.items()}
    together = {(v.query, v.measure): v.value for v in evaluate(BOUNDED, Judged(queries, run, qrels))}
    reversed_order = evaluate(BOUNDED, Judged(queries[::-1], run, qrels))
    assert {(v.query, v.measure): v.value for v in reversed_order} == together
    for query in queries:
        for measure, expected in all_values(*split[query]).items():
            assert together[query, measure] == expected


@pytest.mark.parametrize("ranking", ["".join(order) for order in itertools.permutations("abcd")][::5])
def test_values_agree_with_the_definitions_written_out(ranking: str) -> None:
    qrels = {"a": 1, "c": 2, "x": 1}
    hits = [qrels.get(passage, 0) for passage in ranking]
    precisions = [sum(g > 0 for g in hits[:rank]) / rank for rank in range(1, 5) if hits[rank - 1]]
    dcg = sum(grade / math.log2(rank + 1) for rank, grade in enumerate(hits, 1))
    ideal = sum(grade / math.log2(rank + 1) for rank, grade in enumerate([2, 1, 1], 1))
    assert value("AP", ranking, qrels) == pytest.approx(sum(precisions) / 3)
    assert value("nDCG", ranking, qrels) == pytest.approx(dcg / ideal)
    assert value("R@2", ranking, qrels) == pytest.approx(sum(g > 0 for g in hits[:2]) / 3)
