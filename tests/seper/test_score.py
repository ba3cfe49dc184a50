"""SePer by hand: weights of samples, agreement in meaning, the best reference, and what a passage adds."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from uae_bench.records import EntailmentRow, SampleRow
from uae_bench.seper.score import delta_seper, seper, weights


def sample(text: str, times: int, mean: float, tokens: int = 2, passage: str | None = "p") -> SampleRow:
    return SampleRow("q", passage, text, times, mean * tokens, tokens)


def test_a_text_weighs_exp_of_its_mean_log_probability_as_often_as_it_was_sampled() -> None:
    # exp(mean) is 1/2 for a, sampled twice, and 1/4 for b: (2 · 1/2) : 1/4 = 4 : 1; the sum over tokens does not count
    rows = [sample("a", 2, math.log(1 / 2), tokens=1), sample("b", 1, math.log(1 / 4), tokens=7)]
    assert weights(rows) == pytest.approx([0.8, 0.2])


def test_a_sample_that_says_nothing_keeps_its_share() -> None:
    rows = [sample("", 1, 0.0, tokens=0), sample("a", 2, -3.0), sample("b", 1, -3.0)]
    assert weights(rows) == pytest.approx([0.0, 3 / 4 * 2 / 3, 3 / 4 * 1 / 3])
    assert weights([sample("", 4, 0.0, tokens=0)]) == [0.0]


def test_weights_of_unlikely_texts_do_not_vanish() -> None:
    assert weights([sample("a", 1, -2000.0), sample("b", 1, -2000.0)]) == pytest.approx([0.5, 0.5])


def test_the_best_reference_counts() -> None:
    rows = [sample("a", 4, -1.0), sample("b", 1, -1.0)]
    agreed = {"a": {0: 0.5, 2: 0.0}, "b": {0: 0.0, 2: 1.0}}
    # reference 0: 0.8 · 0.5 + 0.2 · 0; reference 2: 0.8 · 0 + 0.2 · 1
    assert seper(rows, agreed) == pytest.approx(0.4)
    assert seper([], agreed) == 0.0


@pytest.mark.parametrize(
    ("agreement", "with_p", "without"), [("either", 0.9, 0.2), ("mean", 0.5, 0.15), ("both", 0.1, 0.1)]
)
def test_a_passage_is_worth_what_it_adds_to_the_score_without_it(agreement: str, with_p: float, without: float) -> None:
    samples = [sample("a", 10, -1.0), sample("b", 10, -1.0, passage=None), SampleRow("r", None, "a", 1, -1.0, 1)]
    entailments = [EntailmentRow("q", "a", 0, entails=0.1, entailed=0.9), EntailmentRow("q", "b", 0, 0.2, 0.1)]
    found = delta_seper(samples, entailments, agreement)  # type: ignore[arg-type]
    assert found["q"] == {"p": pytest.approx(with_p - without)}
    assert found["r"] == {}


TEXTS = st.lists(
    st.tuples(st.integers(1, 5), st.floats(-50, 0), st.integers(0, 4), st.floats(0, 1)), min_size=1, max_size=6
)


@given(TEXTS)
def test_a_score_is_a_share_of_belief(drawn: list[tuple[int, float, int, float]]) -> None:
    rows = [sample(str(at), times, mean, tokens) for at, (times, mean, tokens, _) in enumerate(drawn)]
    shares = weights(rows)
    spoken = sum(times for times, _, tokens, _ in drawn if tokens) / sum(times for times, *_ in drawn)
    assert math.fsum(shares) == pytest.approx(spoken)
    agreed = {str(at): {0: agreement} for at, (*_, agreement) in enumerate(drawn)}
    assert 0 <= seper(rows, agreed) <= spoken + 1e-9
    assert seper(rows, {text: {0: 1.0} for text in agreed}) == pytest.approx(spoken)
