"""Contrastive likelihoods: what two plain forward passes say, whatever is shared, padded or packed."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.lm.conftest import ANSWERS, PASSAGES, QUERIES
from uae_bench.errors import BadInput
from uae_bench.lm.base import Contrast, EncodedPair, aligned
from uae_bench.lm.hf import HfModel
from uae_bench.prompts import PLAIN, continuation
from uae_bench.records import Likelihood

CONTRASTS: list[Contrast] = [
    (
        (PLAIN.answering(query, [passage]), continuation(answer)),
        (PLAIN.answering(query, []), continuation(answer)),
    )
    for passage in PASSAGES
    for query in QUERIES
    for answer in ANSWERS
]


@torch.inference_mode()
def naive(model: HfModel, contrast: Contrast, alpha: float) -> float:
    """Σ_t log softmax((1 + α) z_t(with) − α z_t(without))[a_t] by two whole forward passes."""
    logits, answers = [], []
    for prompt, answer in contrast:
        before, whole = (model.tokenizer.encode([text])[0] for text in (prompt, prompt + answer))
        assert whole[: len(before)] == before
        logits.append(model.network(input_ids=torch.tensor([whole])).logits[0, len(before) - 1 : -1].double())
        answers.append(whole[len(before) :])
    assert answers[0] == answers[1]
    mixed = (1 + alpha) * logits[0] - alpha * logits[1]
    return float(mixed.log_softmax(dim=-1)[torch.arange(len(answers[0])), answers[0]].sum())


def contrasted(model: HfModel, contrasts: list[Contrast], alpha: float) -> list[Likelihood]:
    found: dict[int, Likelihood] = {}
    for batch in model.plan_contrasts(contrasts).batches:
        found.update(zip(batch, model.contrast_batch([contrasts[index] for index in batch], alpha), strict=True))
    return [found[index] for index in range(len(contrasts))]


@pytest.mark.parametrize("alpha", [0.5, 2.0])
def test_it_is_what_two_whole_passes_say(model: HfModel, alpha: float) -> None:
    for contrast, likelihood in zip(CONTRASTS, contrasted(model, CONTRASTS, alpha), strict=True):
        assert likelihood.logprob == pytest.approx(naive(model, contrast, alpha), abs=5e-4)


def test_without_alpha_it_is_the_plain_likelihood(llama: HfModel) -> None:
    plain = llama.score([given for given, _ in CONTRASTS])
    for one, other in zip(contrasted(llama, CONTRASTS, 0.0), plain, strict=True):
        assert one.logprob == pytest.approx(other.logprob, abs=1e-4)
        assert one.tokens == other.tokens


def test_a_passage_that_is_no_passage_changes_nothing(llama: HfModel) -> None:
    closed = [(without, without) for _, without in CONTRASTS[:3]]
    for one, (pair, _) in zip(contrasted(llama, closed, 1.5), closed, strict=True):
        assert one.logprob == pytest.approx(llama.score([pair])[0].logprob, abs=1e-4)


def test_several_passes_and_batches_change_nothing(model: HfModel, monkeypatch: pytest.MonkeyPatch) -> None:
    in_few = contrasted(model, CONTRASTS, 0.5)
    monkeypatch.setattr("uae_bench.lm.scoring.FORWARD_CELLS", 300)
    monkeypatch.setattr("uae_bench.lm.planned.BATCH_CELLS", 600)
    assert len(model.plan_contrasts(CONTRASTS).batches) > 3
    for few, many in zip(in_few, contrasted(model, CONTRASTS, 0.5), strict=True):
        assert few.logprob == pytest.approx(many.logprob, abs=1e-4)


def test_a_pass_holds_no_more_logits_than_its_share(llama: HfModel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("uae_bench.lm.scoring.FORWARD_CELLS", 400)
    rows: list[int] = []
    handle = llama.network.lm_head.register_forward_hook(lambda _m, inputs, _o: rows.append(inputs[0].shape[1]))
    scored = contrasted(llama, CONTRASTS, 0.5)
    handle.remove()
    assert max(rows) < sum(likelihood.tokens for likelihood in scored) / 4


def test_a_question_without_its_passage_is_read_once_in_a_pass(llama: HfModel) -> None:
    rows: list[int] = []
    handle = llama.network.lm_head.register_forward_hook(lambda _m, inputs, _o: rows.append(inputs[0].shape[1]))
    scored = contrasted(llama, CONTRASTS, 0.5)
    handle.remove()
    alone = {contrast[1]: likelihood.tokens for contrast, likelihood in zip(CONTRASTS, scored, strict=True)}
    assert sum(rows) == sum(likelihood.tokens for likelihood in scored) + sum(alone.values())


def test_a_plan_counts_every_prompt_once(llama: HfModel) -> None:
    plan = llama.plan_contrasts(CONTRASTS)
    pairs = {pair for contrast in CONTRASTS for pair in contrast}
    assert plan.tokens == sum(len(llama.tokenizer.encode(["".join(pair)])[0]) for pair in pairs)
    assert plan.computed < plan.tokens
    assert plan.backed_up == 0


def encoded(ids: list[int], start: int, backed_up: int = 0) -> EncodedPair:
    return EncodedPair(np.array(ids, dtype=np.int32), start, backed_up)


def test_answers_that_begin_differently_are_scored_where_they_are_the_same() -> None:
    # with a passage the last prompt token merges into the answer's first: [… 7+8] 9 against [… 7] 8 9
    given, closed = aligned(encoded([1, 2, 78, 9], 2, backed_up=1), encoded([5, 7, 8, 9], 2))
    assert (given.start, given.scored, given.backed_up) == (3, 1, 2)
    assert (closed.start, closed.scored, closed.backed_up) == (3, 1, 1)


def test_answers_of_the_same_tokens_stay_as_they_are() -> None:
    given, closed = encoded([1, 2, 3, 8, 9], 3), encoded([5, 8, 9], 1)
    again = aligned(given, closed)
    assert [(pair.start, pair.backed_up) for pair in again] == [(3, 0), (1, 0)]


def test_answers_without_a_common_end_are_refused() -> None:
    with pytest.raises(BadInput, match="into other tokens"):
        aligned(encoded([1, 2, 3], 1), encoded([5, 2, 4], 1))


def test_an_answer_longer_than_the_window_is_refused(llama: HfModel) -> None:
    long = ("Question: word\nAnswer:", " word" * 300)
    with pytest.raises(BadInput, match="the model reads 256"):
        llama.plan_contrasts([(long, long)])
