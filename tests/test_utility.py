"""Utilities by hand, and labelling that computes a batch once."""

from __future__ import annotations

import math
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.lm.conftest import PASSAGES, new_folder
from uae_bench.errors import BadInput, UnknownName
from uae_bench.lm.base import Pair
from uae_bench.lm.hf import HfModel
from uae_bench.prompts import PLAIN, continuation
from uae_bench.records import Answer, Likelihood, Passage, Query, UtilityRow
from uae_bench.store import CallCache
from uae_bench.task.card import Definition
from uae_bench.utility import (
    DEFINITIONS,
    Labelling,
    UtilityItem,
    label,
    label_items,
    utilities,
)

QUERIES = {name: Query(name, text, "d") for name, text in (("q1", "Who built it?"), ("q2", "Is it old?"))}
TABLE = {passage.id: passage for passage in PASSAGES}
ANSWERS = {
    "q1": (Answer("Ana Torv", "extractive"), Answer("Ana", "free-form")),
    "q2": (Answer("Yes", "yes-no"), Answer("Unanswerable", "unanswerable")),
}
CANDIDATES = {"q1": ["p0", "p1", "p2"], "q2": ["p3", "p4"]}


def row(
    given: tuple[float, int], closed: tuple[float, int], *, passage: str = "p", answer: int = 0, answer_bytes: int = 8
) -> UtilityRow:
    return UtilityRow("q", passage, answer, Likelihood(*given), Likelihood(*closed), answer_bytes)


def test_every_definition_by_hand() -> None:
    # with the passage -2 nats over 4 tokens (mean -1/2), without -6 over 4 (mean -3/2); 8 bytes
    rows = [row((-2.0, 4), (-6.0, 4))]
    assert utilities(rows, "log-ratio") == {"q": {"p": pytest.approx(-0.5 + 1.5)}}
    assert utilities(rows, "inverse-perplexity") == {"q": {"p": pytest.approx(math.exp(-0.5))}}
    assert utilities(rows, "perplexity-reduction") == {"q": {"p": pytest.approx(math.exp(1.5) - math.exp(0.5))}}
    assert utilities(rows, "nats-per-byte") == {"q": {"p": pytest.approx(4 / 8)}}


def test_a_passage_that_hurts_has_negative_utility_but_positive_inverse_perplexity() -> None:
    rows = [row((-8.0, 4), (-4.0, 4))]
    assert utilities(rows)["q"]["p"] == -1.0
    assert utilities(rows, "inverse-perplexity")["q"]["p"] == pytest.approx(math.exp(-2))


def test_several_references_are_averaged() -> None:
    # log-ratios 1 and 2: mean 1.5
    rows = [row((-1.0, 1), (-2.0, 1)), row((-1.0, 1), (-3.0, 1), answer=1)]
    assert utilities(rows) == {"q": {"p": 1.5}}


def test_nats_per_byte_do_not_depend_on_how_a_family_cuts_words() -> None:
    # references of 8 and 5 bytes gain 4 nats and lose 1: the mean of 4/8 and -1/5, in however many tokens
    for tokens in (1, 4):
        long = row((-2.0, tokens), (-6.0, tokens))
        short = row((-3.0, tokens), (-2.0, tokens), answer=1, answer_bytes=5)
        assert utilities([long, short], "nats-per-byte") == {"q": {"p": pytest.approx((4 / 8 - 1 / 5) / 2)}}


def test_every_definition_can_stand_in_a_card() -> None:
    assert set(get_args(Definition)) == set(DEFINITIONS)


def test_one_reference_counts_once() -> None:
    with pytest.raises(BadInput, match="two utility rows for query 'q', passage 'p', answer 0"):
        utilities([row((-1.0, 1), (-2.0, 1)), row((-1.0, 1), (-2.0, 1))])


def test_an_unknown_definition_is_refused() -> None:
    with pytest.raises(UnknownName, match="log-ration"):
        utilities([], "log-ration")


likelihood = st.builds(Likelihood, st.floats(-60, -0.001), st.integers(1, 12))


@given(st.lists(likelihood, min_size=1, max_size=8), likelihood)
def test_for_one_reference_all_definitions_order_passages_alike(
    given_one: list[Likelihood], closed: Likelihood
) -> None:
    rows = [UtilityRow("q", f"p{at}", 0, one, closed, 5) for at, one in enumerate(given_one)]
    by_mean = [one.mean for one in given_one]
    for name in ("log-ratio", "inverse-perplexity", "perplexity-reduction"):
        values = utilities(rows, name)["q"]
        for left, one in enumerate(by_mean):
            for right, other in enumerate(by_mean):
                if one > other:  # floats that differ in their last digits may round to one utility, never the other way
                    assert values[f"p{left}"] >= values[f"p{right}"]


@given(st.lists(likelihood, min_size=1, max_size=4), likelihood)
def test_inverse_perplexity_is_a_share(given_one: list[Likelihood], closed: Likelihood) -> None:
    rows = [UtilityRow("q", "p", at, one, closed, 5) for at, one in enumerate(given_one)]
    assert 0 < utilities(rows, "inverse-perplexity")["q"]["p"] <= 1


def test_unanswerable_and_empty_references_are_no_items() -> None:
    answers = {**ANSWERS, "q3": (Answer("  ", "free-form"),)}
    items = label_items({**CANDIDATES, "q3": ["p0"], "unasked": ["p0"]}, answers)
    assert len(items) == 3 * 2 + 2 * 1
    assert {(item.query, item.answer) for item in items} == {("q1", 0), ("q1", 1), ("q2", 0)}


class Counting(HfModel):
    """The true model, noting which batches it was asked for."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, "cpu", "float32")
        self.asked: list[tuple[Pair, ...]] = []

    def score_batch(self, pairs: Sequence[Pair]) -> list[Likelihood]:
        self.asked.append(tuple(pairs))
        return super().score_batch(pairs)


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return new_folder(tmp_path_factory.mktemp("llama"), "llama")


@pytest.fixture
def scorer(llama: Path, monkeypatch: pytest.MonkeyPatch) -> Counting:
    monkeypatch.setattr("uae_bench.lm.planned.BATCH_CELLS", 200)
    return Counting(llama)


def labelled(
    scorer: HfModel, calls: CallCache, items: Sequence[UtilityItem] | None = None, **changed: object
) -> Labelling:
    arguments: dict[str, object] = {
        "queries": QUERIES,
        "passages": TABLE,
        "answers": ANSWERS,
        "template": PLAIN,
        "model": {"weights": "w"},
        **changed,
    }
    items = label_items(CANDIDATES, ANSWERS) if items is None else items
    return label(scorer, items, calls=calls, **arguments)  # type: ignore[arg-type]


def test_rows_hold_the_likelihood_with_the_passage_and_without(scorer: Counting, tmp_path: Path) -> None:
    items = label_items(CANDIDATES, ANSWERS)
    rows = labelled(scorer, CallCache(tmp_path / "calls.sqlite")).rows
    assert [(row.query, row.passage, row.answer) for row in rows] == [(i.query, i.passage, i.answer) for i in items]
    answer = continuation("Ana Torv")
    with_passage, without = scorer.score(
        [(PLAIN.answering("Who built it?", [TABLE["p1"]]), answer), (PLAIN.answering("Who built it?", []), answer)]
    )
    (one,) = [row for row in rows if (row.query, row.passage, row.answer) == ("q1", "p1", 0)]
    assert one.given.logprob == pytest.approx(with_passage.logprob, abs=1e-4)
    assert one.closed_book.logprob == pytest.approx(without.logprob, abs=1e-4)
    assert one.answer_bytes == len("Ana Torv")
    assert one.given.tokens == one.closed_book.tokens == with_passage.tokens


def test_answer_length_is_in_bytes_not_characters(scorer: Counting, tmp_path: Path) -> None:
    answers = {"q1": (Answer("Zoë", "extractive"),)}
    rows = labelled(scorer, CallCache(tmp_path / "c"), label_items({"q1": ["p0"]}, answers), answers=answers).rows
    assert rows[0].answer_bytes == 4


def test_a_labelling_that_was_killed_goes_on_and_ends_with_the_same_rows(
    scorer: Counting,
    llama: Path,
    tmp_path: Path,
) -> None:
    whole = labelled(scorer, CallCache(tmp_path / "whole.sqlite"))
    batches = list(scorer.asked)
    assert len(batches) >= 3

    class Killed(Counting):
        def score_batch(self, pairs: Sequence[Pair]) -> list[Likelihood]:
            if len(self.asked) == 2:
                raise KeyboardInterrupt
            return super().score_batch(pairs)

    with pytest.raises(KeyboardInterrupt):
        labelled(Killed(llama), CallCache(tmp_path / "calls.sqlite"))
    again = Counting(llama)
    assert labelled(again, CallCache(tmp_path / "calls.sqlite")) == whole
    assert again.asked == batches[2:]


def test_nothing_is_asked_twice_and_no_weights_are_read_for_it(
    scorer: Counting,
    llama: Path,
    tmp_path: Path,
) -> None:
    first = labelled(scorer, CallCache(tmp_path / "calls.sqlite"))
    again = Counting(llama)
    assert labelled(again, CallCache(tmp_path / "calls.sqlite")) == first
    assert again.asked == []
    assert "network" not in vars(again)


def test_another_model_prompt_or_answer_is_another_batch(scorer: Counting, tmp_path: Path) -> None:
    calls = CallCache(tmp_path / "calls.sqlite")
    labelled(scorer, calls)
    before = calls.count()
    labelled(scorer, calls, model={"weights": "other"})
    assert calls.count() == 2 * before
    changed = {**ANSWERS, "q2": (Answer("No", "yes-no"),)}
    labelled(scorer, calls, label_items(CANDIDATES, changed), answers=changed)
    assert 2 * before < calls.count() < 3 * before  # the batches without that answer are the same


def test_equal_questions_and_answers_are_asked_once(scorer: Counting, tmp_path: Path) -> None:
    queries = {**QUERIES, "q1-again": Query("q1-again", QUERIES["q1"].text, "d")}
    answers = {**ANSWERS, "q1-again": ANSWERS["q1"]}
    items = label_items({"q1": ["p0"], "q1-again": ["p0"]}, answers)
    labelling = labelled(scorer, CallCache(tmp_path / "c"), items, queries=queries, answers=answers)
    assert len(labelling.rows) == 4
    assert labelling.counts.calls == 2 + 2  # two answers, with the passage and without
    assert utilities(labelling.rows)["q1"] == utilities(labelling.rows)["q1-again"]


def test_what_was_cut_and_backed_up_is_counted(scorer: Counting, tmp_path: Path) -> None:
    long = Passage("p0", "soft water is needed, " * 60, "", "d")
    items = [UtilityItem("q1", "p0", 0), UtilityItem("q1", "p1", 0)]
    counts = labelled(scorer, CallCache(tmp_path / "c"), items, passages={**TABLE, "p0": long}).counts
    whole = len(scorer.tokenizer.encode(["".join((PLAIN.answering("Who built it?", [long]), " Ana Torv"))])[0])
    assert scorer.window == 256
    assert whole - 256 <= counts.truncated_tokens <= whole - 250
    assert (counts.truncated_prompts, counts.calls, counts.backed_up_tokens) == (1, 3, 0)
    assert 0 < counts.computed_tokens <= counts.tokens


rows_of_any_kind = st.lists(
    st.builds(UtilityRow, st.text(), st.text(), st.integers(0, 9), likelihood, likelihood, st.integers(1, 99)),
    max_size=6,
)


def test_utilities_need_no_torch() -> None:
    program = "import sys, uae_bench.utility; sys.exit(bool({'torch', 'pyarrow', 'pandas'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_the_default_definition_is_the_log_ratio() -> None:
    assert next(iter(DEFINITIONS)) == "log-ratio"
    rows = [row((-2.0, 4), (-6.0, 4))]
    assert utilities(rows) == utilities(rows, "log-ratio")
