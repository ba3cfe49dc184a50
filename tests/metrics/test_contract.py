"""What holds for every registered measure."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from tests.metrics.parts import PASSAGES, annotated, perfect, run_of
from uae_bench.errors import BadInput, NotPossible
from uae_bench.metrics import MEASURES, Judged, Measure, evaluate
from uae_bench.records import Run, Value

EVERY = [Measure.parse(name + ("@1" if MEASURES[name].cutoff == "required" else "")) for name in MEASURES]
VARIANTS = [
    Measure.parse(text) for text in ("RR@1", "nDCG@1", "EM(context=none)", "TokenF1(context=gold)", "ROUGE-L(stem=yes)")
]
every_measure = pytest.mark.parametrize("measure", EVERY + VARIANTS, ids=str)


def only(values: list[Value]) -> Value:
    assert len(values) == 1
    return values[0]


@every_measure
def test_perfection_scores_the_greatest_possible_value(measure: Measure) -> None:
    # Harm's best is 0; ExpUtil has no bound, and its best passage is worth 1.0; closed-book knew nothing.
    expected = {"Harm": 0.0, "EM(context=none)": 0.0}.get(str(measure), 1.0)
    value = only(evaluate([measure], perfect())).value
    assert value == expected
    low, high = measure.family.bounds
    assert low <= value <= high


@every_measure
def test_a_query_that_the_run_lacks_is_an_error_and_not_a_zero(measure: Measure) -> None:
    judged = replace(perfect(), queries=("q", "lost"))
    with pytest.raises(BadInput, match="lacks the query 'lost'"):
        evaluate([measure], judged)


@every_measure
def test_a_query_that_nothing_judges_is_undefined_and_says_why(measure: Measure) -> None:
    alone = replace(
        perfect(),
        queries=("q", "unjudged"),
        run=run_of({"q": "a", "unjudged": "b"}),
        pools={"q": ("a",), "unjudged": ("b",)},
    )
    judged, unjudged = evaluate([measure], alone)
    assert not math.isnan(judged.value)
    assert math.isnan(unjudged.value)
    assert unjudged.why


@every_measure
def test_an_empty_ranking_is_measured_and_not_undefined(measure: Measure) -> None:
    value = only(evaluate([measure], replace(perfect(), run=run_of({"q": ""}))))
    assert not math.isnan(value.value)
    if measure.needs & {"qrels", "utilities"} or measure.name == "EvidenceF1":
        assert value.value == 0.0


@every_measure
def test_a_measure_is_refused_while_what_it_needs_has_not_been_made(measure: Measure) -> None:
    bare = Judged(("q",), run_of({"q": "a"}), {"q": {"a": 1}}, {"q": (annotated("x", "a"),)}, PASSAGES)
    unmade = measure.needs - {"qrels", "annotations"}
    if unmade:
        with pytest.raises(NotPossible, match=f"needs {min(unmade)}"):
            evaluate([measure], bare)
    else:
        assert only(evaluate([measure], bare)).value >= 0


@every_measure
def test_values_name_their_measure_as_it_prints(measure: Measure) -> None:
    assert only(evaluate([measure], perfect())).measure == str(measure)


@every_measure
def test_evaluating_twice_gives_the_same_values(measure: Measure) -> None:
    judged = perfect()
    assert evaluate([measure], judged) == evaluate([measure], judged)


def test_all_measures_together_give_what_each_gives_alone() -> None:
    together = evaluate(EVERY, perfect())
    assert together == [value for measure in EVERY for value in evaluate([measure], perfect())]


def test_a_measure_asked_for_twice_is_given_once() -> None:
    assert len(evaluate(["AP", "AP", "TokenF1", "TokenF1(context=retrieved)"], perfect())) == 2


@pytest.mark.parametrize(
    ("run", "said"),
    [
        (run_of({"q": "aba"}), "ranks 'a' more than once"),
        (run_of({"q": "ad"}), "ranks 'd' .* outside its pool"),
    ],
)
def test_a_run_that_cannot_be_is_refused(run: Run, said: str) -> None:
    with pytest.raises(BadInput, match=said):
        evaluate(["AP"], replace(perfect(), run=run))


def test_a_split_without_queries_is_refused() -> None:
    with pytest.raises(BadInput, match="no queries"):
        evaluate(["AP"], replace(perfect(), queries=()))


def test_generations_of_another_split_are_refused_rather_than_scored_zero() -> None:
    stranger = {"elsewhere": perfect().generations["q"]}  # type: ignore[index]
    with pytest.raises(BadInput, match="none of the 1 of this split"):
        evaluate(["TokenF1"], replace(perfect(), generations=stranger))
