"""Pointwise rerankers against the model's own likelihoods, asked for one by one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from tests.experiment.parts import language_model
from tests.retrieval.scripted import Scripted, listed, places, reranker
from uae_bench.lm.base import Pair, Sampling
from uae_bench.lm.hf import HfModel
from uae_bench.lm.server import ByteTokenizer
from uae_bench.prompts import PLAIN, RETRIEVAL
from uae_bench.records import Likelihood, Passage
from uae_bench.store import CallCache

TEXTS = {
    "q": ["The harbour was dug in 1804.", "Steam engines need soft water.", "Nobody lives on Orm."],
    "r": ["The lighthouse burns oil.", "Ships are counted there."],
    "s": [],
}
QUESTIONS = {"q": "When was it dug?", "r": "What does it burn?", "s": "Who?"}
Prompt = Callable[[str, str], str]


@pytest.fixture(scope="module")
def model() -> HfModel:
    return HfModel(language_model(), "cpu", "float32")


def alone(model: HfModel, pair: Pair) -> float:
    return model.score([pair])[0].logprob


def judging(query: str, text: str) -> str:
    return PLAIN.judging(query, [Passage("", text, "", "")])


@pytest.mark.parametrize("name", ["pointwise", "upr", "utility-selector"])
def test_scores_are_the_models_own_likelihoods(name: str, model: HfModel) -> None:
    view, run = listed(TEXTS, QUESTIONS)
    reranked = reranker(name, model).rerank(view, run, depth=3)
    template = RETRIEVAL["plain"]
    for query in ("q", "r"):
        question, expected = QUESTIONS[query], {}
        shown = [Passage("", text, "", "") for text in TEXTS[query]]
        answer = model.generate([PLAIN.answering(question, shown)], Sampling(64))[0].text
        for place, text in enumerate(TEXTS[query]):
            if name == "upr":
                expected[place] = alone(model, (template.asking(text), f" {question}"))
            else:
                prompt = judging(question, text) if name == "pointwise" else template.using(question, answer, text)
                expected[place] = alone(model, (prompt, " Yes")) - alone(model, (prompt, " No"))
        assert places(reranked.run, query) == sorted(expected, key=lambda place: -expected[place])
        scores = reranked.run.rankings[query].scores
        assert scores == pytest.approx(sorted(expected.values(), reverse=True), abs=1e-4)
    assert reranked.run.rankings["s"].passages == ()


@pytest.mark.parametrize(
    ("name", "calls"), [("pointwise", (6, 4, 0)), ("upr", (3, 2, 0)), ("utility-selector", (7, 5, 1))]
)
def test_calls_and_tokens_are_counted(name: str, calls: tuple[int, ...], model: HfModel) -> None:
    view, run = listed(TEXTS, QUESTIONS)
    asked = {one.query: one for one in reranker(name, model).rerank(view, run, depth=3).asked}
    assert tuple(asked[query].calls for query in TEXTS) == calls
    if name == "upr":
        pairs = [(RETRIEVAL["plain"].asking(text), f" {QUESTIONS['q']}") for text in TEXTS["q"]]
        assert asked["q"].prompt_tokens == model.plan(pairs).tokens


@pytest.mark.parametrize(
    ("says", "answer", "outcome"),
    [
        ("1804", "1804", "ok"),
        ("<think>It may be 1803.</think> 1804", "1804", "ok"),
        ("", "", "nothing"),
        ("<think>It may be 1803", "", "nothing"),
    ],
)
def test_a_passage_is_judged_by_what_stands_behind_the_reasoning_and_silence_is_counted(
    says: str, answer: str, outcome: str
) -> None:
    class Judging(Scripted):
        def score_batch(self, pairs: Sequence[Pair]) -> list[Likelihood]:
            self.batches.append([prompt for prompt, _ in pairs])
            return [Likelihood(-1.0, 1) for _ in pairs]

    model = Judging(lambda prompt: says)
    view, run = listed({"q": TEXTS["q"]}, QUESTIONS)
    (asked,) = reranker("utility-selector", model).rerank(view, run, depth=3).asked
    assert asked.outcomes == {outcome: 1}
    template = RETRIEVAL["plain"]
    assert {*model.prompts[1:]} == {template.using(QUESTIONS["q"], answer, text) for text in TEXTS["q"]}


def test_an_empty_query_leaves_upr_nothing_to_order_by(model: HfModel) -> None:
    view, run = listed(TEXTS, {**QUESTIONS, "q": "  "})
    assert reranker("upr", model).rerank(view, run, depth=3).run.rankings["q"].scores == (0.0, 0.0, 0.0)


@pytest.mark.parametrize("name", ["pointwise", "upr", "utility-selector"])
def test_long_passages_are_cut_to_the_window_and_counted(name: str, model: HfModel) -> None:
    view, run = listed({"q": ["The harbour of Vell was dug in 1804. " * 60, "Short."]}, QUESTIONS)
    (asked,) = reranker(name, model).rerank(view, run, depth=2).asked
    assert asked.cut_tokens > 0


class Syllables(ByteTokenizer):
    """A token per byte, but ` Yes` is one: the longer answer is the one of fewer characters."""

    def encode(self, framed: Sequence[str]) -> list[list[int]]:
        return [list(text.replace(" Yes", "\0").encode()) for text in framed]


class Windowed(Scripted):
    """Scores alike all that fits the window, and refuses the rest."""

    def __init__(self, window: int) -> None:
        super().__init__(str, window)
        self.tokenizer = Syllables()

    def score_batch(self, pairs: Sequence[Pair]) -> list[Likelihood]:
        return [Likelihood(-1.0, 1) for _ in pairs]


def test_what_fits_with_one_continuation_fits_with_the_one_of_more_tokens() -> None:
    view, run = listed({"q": ["Steam engines need soft water."]}, QUESTIONS)
    whole = len(judging(QUESTIONS["q"], "Steam engines need soft water.").encode()) + len(" No")
    fits, cut = (reranker("pointwise", Windowed(window)).rerank(view, run, depth=1) for window in (whole, whole - 1))
    assert [one.asked[0].cut_tokens for one in (fits, cut)] == [0, 1]


def test_finished_batches_are_not_asked_again(model: HfModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    view, run = listed(TEXTS, QUESTIONS)
    calls = CallCache(tmp_path / "calls.sqlite")
    first = reranker("pointwise", model, calls).rerank(view, run, depth=3)
    monkeypatch.setattr(model, "score_batch", lambda pairs: pytest.fail("asked again"))
    assert reranker("pointwise", model, calls).rerank(view, run, depth=3) == first
