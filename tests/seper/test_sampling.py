"""Evidence for SePer: what is sampled, weighed and judged, each thing once; the score of real samples by hand."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.experiment.parts import language_model
from tests.lm.conftest import PASSAGES
from uae_bench.lm.base import Generated, LanguageModel, Sampling
from uae_bench.lm.hf import HfModel
from uae_bench.lm.planned import PlannedModel
from uae_bench.lm.spec import parse_lm
from uae_bench.prompts import PLAIN
from uae_bench.records import Answer, Query
from uae_bench.seper import Evidence, delta_seper, gather, judge_of
from uae_bench.store import CallCache

TABLE = {passage.id: passage for passage in PASSAGES}
QUERIES = {name: Query(name, text, "d") for name, text in (("q", "When was it built?"), ("r", "Is it old?"))}
ANSWERS = {
    "q": (Answer("1800", "extractive"), Answer("Unanswerable", "unanswerable"), Answer("in 1800", "free-form")),
    "r": (Answer("Unanswerable", "unanswerable"),),
}
CANDIDATES = {"q": ["p0", "p1"], "r": ["p0"]}
SAMPLING = Sampling(6, temperature=1.0)


def evidence(
    model: LanguageModel,
    calls: CallCache,
    candidates: Mapping[str, Sequence[str]] = CANDIDATES,
    *,
    sampling: Sampling = SAMPLING,
    count: int = 4,
    queries: Mapping[str, Query] = QUERIES,
    answers: Mapping[str, tuple[Answer, ...]] = ANSWERS,
) -> Evidence:
    return gather(
        model, judge_of("lexical"), candidates, queries=queries, passages=TABLE, answers=answers, template=PLAIN,
        sampling=sampling, count=count, model={"weights": "w"}, calls=calls,
    )  # fmt: skip


@pytest.fixture(scope="module")
def model() -> HfModel:
    return HfModel(language_model(), "cpu", "float32")


@pytest.mark.parametrize("kind", ["llama", "gpt_neox", "lfm2", "gpt2"])
def test_texts_that_share_what_they_begin_with_are_those_that_are_written_one_by_one(kind: str) -> None:
    model = HfModel(language_model(kind), "cpu", "float32")
    prompts = [PLAIN.answering("When?", [TABLE["p0"]]), PLAIN.answering("Who built the engine?", [])]
    sampling = Sampling(10, temperature=0.4, seed=3)
    together = model.sample_batch(prompts, sampling, 6)
    assert together == PlannedModel.sample_batch(model, prompts, sampling, 6)
    assert [len(texts) for texts in together] == [6, 6]
    assert len({one.text for one in together[0]}) > 1
    assert all(len({one.prompt_tokens for one in texts}) == 1 for texts in together)


def test_seeds_share_no_text_s_chance(model: HfModel) -> None:
    prompt = PLAIN.answering("When?", [])
    texts = [[one.text for one in model.sample_batch([prompt], Sampling(8, 1.0, seed), 3)[0]] for seed in (0, 1)]
    assert not set(texts[0]) & set(texts[1])
    assert texts[0] == [one.text for one in model.sample_batch([prompt], Sampling(8, 1.0, 0), 3)[0]]


def test_each_context_has_its_samples_with_their_likelihoods(model: HfModel, tmp_path: Path) -> None:
    found = evidence(model, CallCache(tmp_path / "calls.sqlite"))
    assert {(row.query, row.passage) for row in found.samples} == {("q", None), ("q", "p0"), ("q", "p1")}
    for passage in (None, "p0", "p1"):
        prompt = PLAIN.answering("When was it built?", [TABLE[passage]] if passage else [])
        rows = [row for row in found.samples if row.passage == passage]
        texts = [one.text for one in model.sample_batch([prompt], SAMPLING, 4)[0]]
        assert {row.text: row.times for row in rows} == Counter(texts)
        for row in rows:
            [likelihood] = model.score([(prompt, f" {row.text}")])
            assert row.tokens == likelihood.tokens
            assert row.logprob == pytest.approx(likelihood.logprob, abs=1e-4)
    assert found.counts.samples == 12
    assert found.counts.calls == 12 + len(found.samples)
    assert found.counts.unanswerable == 1  # r has no reference that answers
    assert {row.answer for row in found.entailments} == {0, 2}


def test_of_a_sample_only_what_stands_behind_its_reasoning_is_weighed_and_judged(
    model: HfModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = ["1800", "<think>1799?</think> 1800", "<think>1799", ""]
    texts = [Generated(text, 5, 1, "stop") for text in said]
    monkeypatch.setattr(model, "sample_batch", lambda prompts, sampling, count: [texts for _ in prompts])
    found = evidence(model, CallCache(tmp_path / "calls.sqlite"), {"q": ["p0"]})
    assert {(row.text, row.times) for row in found.samples} == {("1800", 2), ("", 2)}
    assert (found.counts.samples, found.counts.silent) == (8, 4)
    assert {row.text for row in found.entailments} == {"1800"}


def test_queries_that_ask_the_same_are_asked_and_judged_once(model: HfModel, tmp_path: Path) -> None:
    again = {"q": QUERIES["q"], "s": Query("s", "When was it built?", "d")}
    references = {"q": ANSWERS["q"], "s": ANSWERS["q"]}
    calls = CallCache(tmp_path / "calls.sqlite")
    alone = evidence(model, calls, {"q": ["p0"]})
    both = evidence(model, calls, {"q": ["p0"], "s": ["p0"]}, queries=again, answers=references)
    assert len(both.samples) == 2 * len(alone.samples)
    assert len(both.entailments) == 2 * len(alone.entailments)
    assert both.counts.calls == alone.counts.calls
    assert both.counts.judged == alone.counts.judged <= 2 * len(alone.entailments)
    deltas = delta_seper(both.samples, both.entailments)
    assert deltas["q"] == deltas["s"] == delta_seper(alone.samples, alone.entailments)["q"]


def test_a_finished_batch_is_never_asked_again(model: HfModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = CallCache(tmp_path / "calls.sqlite")
    first = evidence(model, calls)
    with monkeypatch.context() as patched:
        patched.setattr(model, "sample_batch", None)
        patched.setattr(model, "score_batch", None)
        assert evidence(model, calls) == first
    before = calls.count()
    evidence(model, calls, sampling=Sampling(6, 1.0, seed=1))
    evidence(model, calls, count=2)
    assert calls.count() > before + 1


def test_killed_between_batches_it_goes_on_where_it_was(
    model: HfModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("uae_bench.lm.hf.SAMPLING_CELLS", 1)  # a prompt is a batch
    undisturbed = evidence(model, CallCache(tmp_path / "whole.sqlite"))
    calls, asked = CallCache(tmp_path / "calls.sqlite"), []
    sample = model.sample_batch

    def dies(prompts: Sequence[str], sampling: Sampling, count: int) -> Any:
        asked.append(prompts)
        if len(asked) == 3:
            raise KeyboardInterrupt
        return sample(prompts, sampling, count)

    monkeypatch.setattr(model, "sample_batch", dies)
    with pytest.raises(KeyboardInterrupt):
        evidence(model, calls)
    assert calls.count() == 2
    assert evidence(model, calls) == undisturbed
    assert len(asked) == 4  # the third again, and nothing else


def test_a_long_passage_is_cut_and_counted_and_leaves_room_for_any_text(model: HfModel, tmp_path: Path) -> None:
    from dataclasses import replace

    long = {**TABLE, "p0": replace(TABLE["p0"], text="a very old harbour " * 80)}
    found = gather(
        model, judge_of("lexical"), {"q": ["p0"]}, queries=QUERIES, passages=long, answers=ANSWERS, template=PLAIN,
        sampling=Sampling(40, 3.0), count=8, model={}, calls=CallCache(tmp_path / "calls.sqlite"),
    )  # fmt: skip
    assert found.counts.truncated_tokens > 0


def test_lab_llama_s_samples_by_hand(tmp_path: Path) -> None:
    """The definition written down once more, over a real family's samples."""
    from collections import defaultdict

    from uae_bench.metrics.answer import normalise
    from uae_bench.task.task import load_task

    task = load_task("lab", overrides={"seed": 0})
    query = next(one for one in task.asked("test") if task.answerable(one.id) and task.evidence(one.id))
    passages = [*sorted(task.evidence(query.id)), *task.documents[query.document_id or ""]][:4]
    spec = parse_lm("lab:llama")
    with spec.open() as llama:
        found = gather(
            llama, judge_of("lexical"), {query.id: passages}, queries=task.queries, passages=task.passages,
            answers={query.id: task.answers(query.id)}, template=spec.prompt, sampling=Sampling(32, 1.0), count=10,
            model={}, calls=CallCache(tmp_path / "calls.sqlite"),
        )  # fmt: skip
    belief: dict[str | None, list[float]] = defaultdict(list)
    for answer in task.answerable(query.id):
        reference = Counter(normalise(answer.text).split())
        for passage in (None, *passages):
            rows = [row for row in found.samples if row.passage == passage and row.tokens]
            assert sum(row.times for row in found.samples if row.passage == passage) == 10
            mass = sum(row.times * math.exp(row.logprob / row.tokens) for row in rows)
            total = 0.0
            for row in rows:
                said = Counter(normalise(row.text).split())
                if said and (said <= reference or reference <= said):
                    total += row.times * math.exp(row.logprob / row.tokens) / mass
            belief[passage].append(total * sum(row.times for row in rows) / 10)
    deltas = delta_seper(found.samples, found.entailments)[query.id]
    assert deltas == {p: pytest.approx(max(belief[p]) - max(belief[None])) for p in passages}
    assert max(deltas, key=lambda passage: deltas[passage]) in task.evidence(query.id)
