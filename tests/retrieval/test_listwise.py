"""RankGPT: windows, what is read in answers, and whole rankings by models whose judgement is known."""

from __future__ import annotations

import random
import re
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.retrieval.scripted import Scripted, listed, places, reranker
from uae_bench.errors import BadInput, NotPossible
from uae_bench.options import checked
from uae_bench.records import Run
from uae_bench.retrieval.listwise import ListwiseSettings, read_permutation, window_starts

COUNTS = st.integers(0, 130)


@pytest.mark.parametrize(
    ("count", "expected"),
    [
        (50, [30, 20, 10, 0]),
        (100, [80, 70, 60, 50, 40, 30, 20, 10, 0]),
        (55, [35, 25, 15, 5, 0]),  # the head is not skipped where the step does not divide
        (22, [2, 0]),
        (20, [0]),
        (3, [0]),  # fewer than a window: one call all the same
        (1, []),
        (0, []),
    ],
)
def test_windows_slide_from_the_back_to_the_head(count: int, expected: list[int]) -> None:
    assert window_starts(count, 20, 10) == expected


@given(COUNTS, st.integers(2, 30), st.integers(1, 30))
def test_every_passage_is_shown_and_windows_overlap(count: int, window: int, step: int) -> None:
    step = min(step, window)
    starts = window_starts(count, window, step)
    if count < 2:
        assert starts == []
        return
    assert starts[-1] == 0 and starts[0] + window >= count
    assert all(0 < before - after <= step for before, after in pairwise(starts))


@pytest.mark.parametrize(
    ("text", "order", "outcome", "dropped", "appended"),
    [
        ("[2] > [3] > [1]", [1, 2, 0], "ok", 0, 0),
        ("2 > 3 > 1", [1, 2, 0], "ok", 0, 0),
        ("[2]>[3] , [1]\n", [1, 2, 0], "ok", 0, 0),
        ("Here are the 3 passages: [2] > [3] > [1]", [1, 2, 0], "ok", 0, 0),
        ("<think>[1] is best, or 2?</think>[3] > [2] > [1]", [2, 1, 0], "ok", 0, 0),
        ("<think>[1] > [2] > [3]", [0, 1, 2], "nothing", 0, 3),
        ("[3]", [2, 0, 1], "missing", 0, 2),
        ("[3] > [3] > [1]", [2, 0, 1], "repetition", 1, 1),
        ("[3] > [2] > [1] > [1]", [2, 1, 0], "repetition", 1, 0),
        ("[7] > [2] > [0]", [1, 0, 2], "missing", 2, 2),
        ("I cannot rank these.", [0, 1, 2], "wrong format", 0, 3),
        ("Passage 2, passage 3, Passage 1.", [1, 2, 0], "ok", 0, 0),
        ("2.\n3.\n1.", [1, 2, 0], "ok", 0, 0),
        ("I cannot rank these 3 passages.", [0, 1, 2], "wrong format", 0, 3),
        ("3 passages, and none helps", [0, 1, 2], "wrong format", 0, 3),
        ("Of these 3 passages, [2] is the best", [1, 0, 2], "missing", 0, 2),
        ("[99999999999999999999]", [0, 1, 2], "wrong format", 0, 3),
        ("", [0, 1, 2], "nothing", 0, 3),
    ],
)
def test_what_is_read_in_an_answer(text: str, order: list[int], outcome: str, dropped: int, appended: int) -> None:
    found = read_permutation(text, 3)
    assert list(found.order) == order
    assert (found.outcome, found.dropped, found.appended) == (outcome, dropped, appended)


@pytest.mark.parametrize(
    ("text", "outcome"),
    [("Passage [3] is about a kettle. Passage [1]", "nothing"), ("no. </think>[3] > [2] > [1]", "ok")],
)
def test_where_the_prompt_begins_the_reasoning_only_what_follows_its_end_counts(text: str, outcome: str) -> None:
    found = read_permutation(text, 3, reasoning=True)
    assert found.outcome == outcome
    assert list(found.order) == ([2, 1, 0] if outcome == "ok" else [0, 1, 2])


@given(st.text() | st.lists(st.integers(-3, 30)).map(lambda row: " > ".join(f"[{n}]" for n in row)), st.integers(1, 20))
def test_any_answer_gives_a_permutation(text: str, count: int) -> None:
    assert sorted(read_permutation(text, count).order) == list(range(count))


def by_worth(prompt: str) -> str:
    """What a model says that knows each passage's worth, the number in its text."""
    shown = [(number, worth) for worth, number in re.findall(r"worth (\d+) \[(\d+)\]", prompt)]
    return " > ".join(f"[{number}]" for number, worth in sorted(shown, key=lambda row: -int(row[1])))


@given(st.permutations(range(50)))
def test_with_a_perfect_model_the_best_of_fifty_climb_to_the_head(worths: list[int]) -> None:
    """One pass of overlapping windows brings the best `window - step` to the front, in order."""
    view, run = listed({"q": [f"worth {worth}" for worth in worths]})
    ranked = reranker("rankgpt", Scripted(by_worth)).rerank(view, run, depth=50).run
    assert [worths[place] for place in places(ranked, "q")][:10] == list(range(49, 39, -1))


def test_calls_and_tokens_are_counted_per_query() -> None:
    texts = {"a": [f"worth {n}" for n in range(50)], "b": ["worth 1", "worth 2"], "c": ["worth 1"], "d": []}
    view, run = listed(texts)
    model = Scripted(by_worth)
    reranked = reranker("rankgpt", model).rerank(view, run, depth=50)
    asked = {one.query: one for one in reranked.asked}
    assert {query: one.calls for query, one in asked.items()} == {"a": 4, "b": 1, "c": 0, "d": 0}
    assert asked["a"].outcomes == {"ok": 4} and asked["a"].repairs == {}
    assert asked["b"].prompt_tokens == len(next(prompt for prompt in model.prompts if "of b?" in prompt).encode())
    assert asked["b"].completion_tokens == len("[2] > [1]")
    assert places(reranked.run, "b") == [1, 0] and places(reranked.run, "c") == [0] and places(reranked.run, "d") == []
    assert reranked.run.rankings["b"].scores == (2.0, 1.0)
    assert max(map(len, model.batches)) == 2  # both queries' first windows are one batch


@pytest.mark.parametrize(
    ("says", "outcome", "repaired"),
    [
        ("I am sorry, but no.", "wrong format", {"passages appended": 3}),
        ("", "nothing", {"passages appended": 3}),
        ("[2] > [2]", "repetition", {"numbers dropped": 1, "passages appended": 2}),
        ("[2]", "missing", {"passages appended": 2}),
    ],
)
def test_failures_keep_the_old_order_and_are_counted(says: str, outcome: str, repaired: dict[str, int]) -> None:
    view, run = listed({"q": ["one", "two", "three"]})
    reranked = reranker("rankgpt", Scripted(lambda prompt: says)).rerank(view, run, depth=3)
    assert places(reranked.run, "q") == ([1, 0, 2] if "2" in says else [0, 1, 2])
    (asked,) = reranked.asked
    assert asked.outcomes == {outcome: 1}
    assert asked.repairs == repaired


def test_passages_that_are_too_long_are_cut_evenly_and_counted() -> None:
    view, run = listed({"q": ["a" * 400, "b" * 30, "c" * 400]})
    model = Scripted(lambda prompt: "[3] > [1] > [2]", window=400)
    reranked = reranker("rankgpt", model).rerank(view, run, depth=3)
    (prompt,) = model.prompts
    first, short, last = (len(run) for run in re.findall(r"a{9,}|b{9,}|c{9,}", prompt))
    assert first == last and short == 30
    (asked,) = reranked.asked
    assert asked.cut_tokens == 830 - (first + short + last)
    assert places(reranked.run, "q") == [2, 0, 1]


def test_a_window_that_leaves_too_little_of_each_passage_is_refused() -> None:
    view, run = listed({"q": ["a" * 400] * 20})
    with pytest.raises(NotPossible, match=r"20 passages .* would be left of each") as refused:
        reranker("rankgpt", Scripted(by_worth, window=600)).rerank(view, run, depth=20)
    assert "window" in refused.value.hint


def test_order_sensitivity_is_nought_for_a_model_that_reads_and_great_for_one_that_copies() -> None:
    view, run = listed({"q": [f"worth {n}" for n in range(12)], "r": ["worth 1"]})
    reads = reranker("rankgpt", Scripted(by_worth), shuffle=3).rerank(view, run, depth=12)
    assert reads.facts["rankgpt_order_kendall_tau"] == pytest.approx(1)
    assert reads.facts["rankgpt_order_other_first_passage"] == 0.0
    assert reads.facts["rankgpt_order_calls"] == 3
    assert reads.facts["rankgpt_order_tokens"] > 3 * 12
    copies = reranker("rankgpt", Scripted(lambda prompt: "[1]"), shuffle=3).rerank(view, run, depth=12)
    assert abs(copies.facts["rankgpt_order_kendall_tau"]) < 0.5
    assert copies.facts["rankgpt_order_other_first_passage"] > 0
    assert {one.query: one.calls for one in copies.asked} == {"q": 1, "r": 0}  # the ranking's own
    assert places(copies.run, "q") == list(range(12))


def test_what_is_timed_asks_every_time_and_only_what_the_ranking_takes() -> None:
    view, run = listed({"q": ["worth 1", "worth 2"]})
    kept: dict[str, list[object]] = {}

    class Calls:
        def get(self, digest: str) -> list[object] | None:
            return kept.get(digest)

        def put(self, digest: str, model: str, results: list[object]) -> None:
            kept[digest] = results

    model = Scripted(by_worth)
    remembering = reranker("rankgpt", model, Calls(), shuffle=2)
    for _ in range(2):
        remembering.rerank(view, run, depth=2)
    asked = len(model.prompts)
    assert asked <= 3  # the ranking and two shuffles, each remembered
    timed = remembering.forgetful()
    for _ in range(2):
        assert timed.rerank(view, run, depth=2).run == remembering.rerank(view, run, depth=2).run
    assert len(model.prompts) == asked + 2


@pytest.mark.parametrize("settings", [{"step": 21}, {"window": 4, "step": 5}, {"shuffle": 1}, {"window": 1}])
def test_settings_that_make_no_sense_are_refused(settings: dict[str, int]) -> None:
    with pytest.raises(BadInput, match="rankgpt"):
        checked(ListwiseSettings, "rankgpt", settings)


def test_the_order_of_queries_does_not_matter() -> None:
    texts = {f"q{n}": [f"worth {random.Random(f'{n} {p}').randrange(99)}" for p in range(n)] for n in range(1, 25, 4)}
    view, run = listed(texts)
    backwards, same = listed(dict(reversed(texts.items())))
    found: Run = reranker("rankgpt", Scripted(by_worth)).rerank(view, run, depth=9).run
    assert found.rankings == reranker("rankgpt", Scripted(by_worth)).rerank(backwards, same, depth=9).run.rankings
