from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.metrics.parts import annotated, perfect, run_of, wrote
from uae_bench.errors import BadInput
from uae_bench.metrics import Judged, evaluate, summarise
from uae_bench.metrics.answer import (
    MISSING,
    NO_EVIDENCE,
    NO_REFERENCE,
    evidence_f1,
    exact_match,
    normalise,
    rouge_l,
    token_f1,
)
from uae_bench.records import Passage


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("The  Cat, sat!", "cat sat"),
        ("a-b", "ab"),  # punctuation goes before articles are looked for, and leaves no space
        ("U.S.A.", "usa"),
        ("an apple a day", "apple day"),
        ("Theory", "theory"),
        ("naïve “quote”", "naïve “quote”"),  # only ASCII punctuation goes
        ("the", ""),
    ],
)
def test_normalisation_follows_squad(text: str, normal: str) -> None:
    assert normalise(text) == normal


def test_token_f1_counts_shared_tokens_with_their_repeats() -> None:
    # "new york new" and "new new jersey": 2 shared; precision 2/3, recall 2/3
    assert token_f1("new york new", "new new jersey") == pytest.approx(2 / 3)
    # "red foxes" against "four red foxes": precision 1, recall 2/3 -> 0.8
    assert token_f1("the red foxes", "Four red foxes.") == pytest.approx(0.8)


def test_two_empty_texts_match_exactly_and_share_no_token() -> None:
    assert (exact_match("the", "."), token_f1("the", ".")) == (1.0, 0.0)


def test_rouge_l_follows_the_longest_common_subsequence() -> None:
    # "the cat sat" / "the dog sat down": the longest is "the … sat" = 2; precision 2/3, recall 2/4
    assert rouge_l("the cat sat", "the dog sat down", stem=False) == pytest.approx(2 * 2 / (3 + 4))


def test_rouge_l_depends_on_order_and_token_f1_does_not() -> None:
    assert token_f1("one two three", "three two one") == 1.0
    assert rouge_l("one two three", "three two one", stem=False) == pytest.approx(1 / 3)


def test_stemming_changes_rouge_l_and_is_part_of_the_name() -> None:
    judged = replace(
        perfect(), annotations={"q": (annotated("running foxes", "a"),)}, generations={"q": wrote("q", "runs fox")}
    )
    values = {value.measure: value.value for value in evaluate(["ROUGE-L", "ROUGE-L(stem=yes)"], judged)}
    assert values == {"ROUGE-L(stem=no)": 0.0, "ROUGE-L(stem=yes)": 1.0}


@pytest.mark.parametrize("measure", ["TokenF1", "EM", "ROUGE-L"])
def test_the_best_reference_counts(measure: str) -> None:
    several = (annotated("something else"), annotated("four red foxes"), annotated("No", kind="yes-no"))
    assert evaluate([measure], replace(perfect(), annotations={"q": several}))[0].value == 1.0


def two_queries(**changes: object) -> Judged:
    """`q` answered perfectly, `r` with the reference "blue hen" and nothing written."""
    base = perfect()
    judged = replace(
        base,
        queries=("q", "r"),
        run=run_of({"q": "a", "r": "b"}),
        pools=None,
        annotations={**base.annotations, "r": (annotated("blue hen", "b"),)},
    )
    return replace(judged, **changes)  # type: ignore[arg-type]


def test_a_missing_generation_is_zero_and_counted_apart_from_the_undefined() -> None:
    _, missing = evaluate(["TokenF1"], two_queries())
    assert (missing.value, missing.why) == (0.0, MISSING)
    (mean,) = summarise(evaluate(["TokenF1"], two_queries()))
    assert (mean.value, mean.n, mean.missing, mean.undefined) == (0.5, 2, 1, 0)


def test_a_query_without_references_is_undefined_and_not_missing() -> None:
    judged = two_queries(annotations=perfect().annotations)
    (mean,) = summarise(evaluate(["TokenF1"], judged))
    assert (mean.value, mean.n, mean.missing, mean.undefined) == (1.0, 1, 0, 1)
    assert evaluate(["EM"], judged)[1].why == NO_REFERENCE


def test_saying_that_there_is_no_answer_is_an_answer() -> None:
    judged = replace(
        perfect(),
        annotations={"q": (annotated("Unanswerable", kind="unanswerable"),)},
        generations={"q": wrote("q", "unanswerable.")},
    )
    assert evaluate(["TokenF1"], judged)[0].value == 1.0


def test_reasoning_is_no_part_of_an_answer() -> None:
    said = {"q": wrote("q", "<think>Red foxes? How many? One.</think> four red foxes")}
    for name in ("TokenF1", "EM", "ROUGE-L", "Lift"):
        assert evaluate([name], replace(perfect(), generations=said))[0].value == 1.0
    unfinished = {"q": wrote("q", "<think>four red foxes")}
    assert evaluate(["TokenF1"], replace(perfect(), generations=unfinished))[0].value == 0.0


def test_lift_is_what_the_context_added_and_harm_where_it_took_away() -> None:
    # with passages "red foxes": F1 0.8; without: q "four red foxes" 1.0, r nothing shared 0.0
    made = {"q": wrote("q", "red foxes"), "r": wrote("r", "blue hen")}
    closed = {"q": wrote("q", "four red foxes"), "r": wrote("r", "no idea")}
    lift_q, lift_r, harm_q, harm_r = evaluate(["Lift", "Harm"], two_queries(generations=made, closed_book=closed))
    assert [lift_q.value, lift_r.value] == pytest.approx([-0.2, 1.0])
    assert (harm_q.value, harm_r.value) == (1.0, 0.0)


def test_the_same_answer_with_and_without_passages_does_no_harm() -> None:
    same = {"q": wrote("q", "one of four foxes")}
    lift, harm = evaluate(["Lift", "Harm"], replace(perfect(), generations=same, closed_book=same))
    assert (lift.value, harm.value) == (0.0, 0.0)


def test_there_is_no_gold_context_where_nobody_marked_evidence() -> None:
    judged = replace(perfect(), annotations={"q": (annotated("four red foxes"),)})
    value = evaluate(["TokenF1(context=gold)"], judged)[0]
    assert math.isnan(value.value)
    assert value.why == NO_EVIDENCE


def test_evidence_f1_is_a_set_overlap_with_the_first_k() -> None:
    # first three a, b, c against marked b, c, d, e: 2 shared -> 2·2/(3+4)
    judged = replace(
        perfect(),
        run=run_of({"q": "abcd"}),
        pools=None,
        annotations={"q": (annotated("x", "bcde"), annotated("y", "j"))},
    )
    assert evaluate(["EvidenceF1@3"], judged)[0].value == pytest.approx(4 / 7)


def test_evidence_f1_of_two_empty_sets_is_one() -> None:
    assert evidence_f1(frozenset(), frozenset()) == 1.0
    nothing = replace(perfect(), run=run_of({"q": ""}), annotations={"q": (annotated("Unanswerable"),)})
    assert evaluate(["EvidenceF1@3"], nothing)[0].value == 1.0


def test_copies_of_a_paragraph_are_one_piece_of_evidence() -> None:
    copies = {name: Passage(name, "the same text", "", "doc") for name in "ab"}
    judged = replace(perfect(), run=run_of({"q": "a"}), passages=copies, annotations={"q": (annotated("x", "ab"),)})
    assert evaluate(["EvidenceF1@1"], judged)[0].value == 1.0


def test_a_passage_that_the_task_does_not_hold_is_named() -> None:
    with pytest.raises(BadInput, match="'a'"):
        evaluate(["EvidenceF1@1"], replace(perfect(), passages={}))


words = st.lists(st.sampled_from(["the", "red", "fox", "Fox!", "two", ""]), max_size=6).map(" ".join)


@given(words, words)
def test_scores_are_bounded_symmetric_and_ordered(one: str, other: str) -> None:
    f1, em = token_f1(one, other), exact_match(one, other)
    assert 0 <= f1 <= 1
    assert f1 == token_f1(other, one)
    assert em in (0.0, 1.0)
    assert 0 <= rouge_l(one, other, stem=False) <= 1
    if em and normalise(one):
        assert f1 == 1.0


@given(words, st.lists(words, min_size=1, max_size=4), words)
def test_another_reference_never_lowers_a_score(prediction: str, references: list[str], extra: str) -> None:
    def score(texts: list[str]) -> list[float]:
        annotations = {"q": tuple(annotated(text) for text in texts)}
        judged = replace(perfect(), annotations=annotations, generations={"q": wrote("q", prediction)})
        return [value.value for value in evaluate(["TokenF1", "EM", "ROUGE-L"], judged)]

    assert all(more >= less for more, less in zip(score([*references, extra]), score(references), strict=True))
