"""The fast paths say what a plain loop says, whatever the order, the batch and the architecture."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.lm.conftest import ANSWERS, PASSAGES, QUERIES
from uae_bench.errors import BadInput, ModelUnavailable, NotPossible
from uae_bench.lm.base import Pair, Sampling
from uae_bench.lm.hf import HfModel, open_model
from uae_bench.lm.resources import USUAL
from uae_bench.prompts import PLAIN, continuation

PAIRS: list[Pair] = [
    (PLAIN.answering(query, passages), continuation(answer))
    for passages in [*[[passage] for passage in PASSAGES], []]
    for query in QUERIES
    for answer in ANSWERS
]


@torch.inference_mode()
def one_by_one(model: HfModel, pair: Pair) -> float:
    """Summed log-probability of the continuation by the plain way: one row, all logits."""
    prompt, whole = (model.tokenizer.encode([text])[0] for text in (pair[0], "".join(pair)))
    assert whole[: len(prompt)] == prompt
    ids = torch.tensor([whole])
    logprobs = model.network(input_ids=ids).logits[0].float().log_softmax(dim=-1)
    return sum(float(logprobs[at - 1, whole[at]]) for at in range(len(prompt), len(whole)))


def test_shared_prefixes_padding_and_sliced_logits_change_nothing(model: HfModel) -> None:
    scored = model.score(PAIRS)
    for pair, likelihood in zip(PAIRS, scored, strict=True):
        assert likelihood.logprob == pytest.approx(one_by_one(model, pair), abs=1e-4)


def test_states_are_those_at_the_last_token_of_each_prompt(model: HfModel) -> None:
    prompts = list(dict.fromkeys(prompt for prompt, _ in PAIRS))
    plan = model.plan_reading(prompts)
    assert plan.computed < plan.tokens == sum(len(ids) for ids in model.tokenizer.encode(prompts))
    states: dict[int, np.ndarray[Any, Any]] = {}
    for batch in plan.batches:
        states.update(zip(batch, model.read_batch([prompts[index] for index in batch]), strict=True))
    for index, prompt in enumerate(prompts):
        ids = torch.tensor(model.tokenizer.encode([prompt]))
        with torch.inference_mode():
            whole = model.network(input_ids=ids, output_hidden_states=True).hidden_states[-1][0, -1]
        assert states[index] == pytest.approx(whole.numpy(), abs=1e-4)


def test_prefixes_are_shared_so_that_less_is_read(model: HfModel) -> None:
    plan = model.plan(PAIRS)
    assert plan.tokens == sum(len(model.tokenizer.encode(["".join(pair)])[0]) for pair in PAIRS)
    assert plan.computed < 0.6 * plan.tokens


def test_the_order_of_the_items_does_not_matter(model: HfModel) -> None:
    shuffled = random.Random(3).sample(PAIRS, len(PAIRS))
    in_order = dict(zip(PAIRS, model.score(PAIRS), strict=True))
    assert model.score(shuffled) == [in_order[pair] for pair in shuffled]  # equal, not merely near


def test_a_planned_batch_alone_gives_the_same_bits(
    llama: HfModel, folder: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("uae_bench.lm.planned.BATCH_CELLS", 600)
    batches = llama.plan(PAIRS).batches
    assert len(batches) > 5
    assert sorted(index for batch in batches for index in batch) == list(range(len(PAIRS)))
    whole = llama.score(PAIRS)
    another_process = HfModel(folder("llama"), "cpu", "float32")
    for batch in reversed(batches):
        alone = another_process.score_batch([PAIRS[index] for index in batch])
        assert alone == [whole[index] for index in batch]


def test_several_passes_per_batch_change_nothing(model: HfModel, monkeypatch: pytest.MonkeyPatch) -> None:
    in_few = model.score(PAIRS)
    monkeypatch.setattr("uae_bench.lm.scoring.FORWARD_CELLS", 300)
    for few, many in zip(in_few, model.score(PAIRS), strict=True):
        assert few.logprob == pytest.approx(many.logprob, abs=1e-4)


def test_bfloat16_is_near_float32(folder: Callable[..., Path]) -> None:
    exact = HfModel(folder("llama"), "cpu", "float32").score(PAIRS[:6])
    short = HfModel(folder("llama"), "cpu", "bfloat16").score(PAIRS[:6])
    for left, right in zip(exact, short, strict=True):
        assert left.logprob != right.logprob
        assert left.mean == pytest.approx(right.mean, abs=0.1)


def test_an_output_layer_that_is_scaled_afterwards_is_scaled_here_too(folder: Callable[..., Path]) -> None:
    model = HfModel(folder("llama"), "cpu", "float32")
    before = model.score(PAIRS[:2])
    model.network.lm_head.register_forward_hook(lambda _module, _inputs, logits: logits * 0.5)
    after = model.score(PAIRS[:2])
    assert after[0].logprob == pytest.approx(one_by_one(model, PAIRS[0]), abs=1e-4)
    assert after[0].logprob != pytest.approx(before[0].logprob, abs=1e-3)


def test_no_logits_are_computed_but_where_an_answer_is_scored(llama: HfModel) -> None:
    rows: list[int] = []
    handle = llama.network.lm_head.register_forward_hook(lambda _m, inputs, _o: rows.append(inputs[0].shape[1]))
    scored = llama.score(PAIRS)
    handle.remove()
    assert sum(rows) == sum(likelihood.tokens for likelihood in scored)


def test_a_pair_beyond_the_window_is_refused(llama: HfModel) -> None:
    assert llama.window == 256
    with pytest.raises(BadInput, match="the model reads 256"):
        llama.score([("word " * 300, " yes")])


def greedy_by_transformers(model: HfModel, prompt: str, tokens: int) -> str:
    """What transformers' own `generate` writes, up to the first newline after something written."""
    ids = torch.tensor(model.tokenizer.encode([prompt]))
    written = model.network.generate(ids, do_sample=False, max_new_tokens=tokens, pad_token_id=1)[0, ids.shape[1] :]
    return model.tokenizer.decode(written.tolist()).lstrip().partition("\n")[0].strip()


def test_greedy_writing_is_that_of_transformers(model: HfModel) -> None:
    prompts = [PLAIN.answering(query, [passage]) for passage in PASSAGES for query in QUERIES]
    written = model.generate(prompts, Sampling(max_tokens=12))
    assert [one.text for one in written] == [greedy_by_transformers(model, prompt, 12) for prompt in prompts]
    assert {one.finish for one in written} <= {"stop", "length"}
    assert all(1 <= one.completion_tokens <= 12 for one in written)
    assert written[0].prompt_tokens == len(model.tokenizer.encode(prompts[:1])[0])


def test_sampling_depends_on_seed_and_prompt_but_not_on_company(llama: HfModel) -> None:
    prompts = [PLAIN.answering(query, PASSAGES[:1]) for query in QUERIES]
    warm = Sampling(max_tokens=8, temperature=1.0, seed=1)
    together = llama.generate(prompts, warm)
    assert llama.generate(prompts[::-1], warm) == together[::-1]
    assert llama.generate(prompts[:1], warm) == together[:1]
    assert llama.generate(prompts, Sampling(max_tokens=8, temperature=1.0, seed=2)) != together


def test_samples_follow_the_model(llama: HfModel) -> None:
    # the first token over 300 seeds: its likeliest text comes as often as the softmax says, within 4 standard errors
    prompt = PLAIN.answering(QUERIES[0], PASSAGES[:1])
    ids = torch.tensor(llama.tokenizer.encode([prompt]))
    with torch.inference_mode():
        shares = (llama.network(ids).logits[0, -1] / 0.5).softmax(dim=0)
    texts = [llama.tokenizer.decode([token]).strip() for token in range(len(shares))]
    likeliest = texts[int(shares.argmax())]
    share = sum(float(each) for each, text in zip(shares, texts, strict=True) if text == likeliest)
    hits = [
        llama.generate([prompt], Sampling(1, temperature=0.5, seed=seed, stop=()))[0].text == likeliest
        for seed in range(300)
    ]
    assert np.mean(hits) == pytest.approx(share, abs=4 * np.sqrt(share * (1 - share) / 300))


def test_generation_batches_cover_all_prompts_and_do_not_depend_on_order(
    llama: HfModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("uae_bench.lm.planned.WRITING_CELLS", 300)
    prompts = [PLAIN.answering(query, [passage]) for passage in PASSAGES for query in QUERIES]
    plan = llama.plan_generation(prompts, Sampling(8))
    assert len(plan.batches) > 3
    assert sorted(index for batch in plan.batches for index in batch) == list(range(len(prompts)))
    backwards = llama.plan_generation(prompts[::-1], Sampling(8))
    texts = [[prompts[index] for index in batch] for batch in plan.batches]
    assert texts == [[prompts[::-1][index] for index in batch] for batch in backwards.batches]


def test_a_prompt_without_room_to_write_is_refused(llama: HfModel) -> None:
    with pytest.raises(BadInput, match="the model reads 256"):
        llama.generate(["short"], Sampling(max_tokens=256))


def test_weights_are_read_when_first_needed_and_freed_on_exit(folder: Callable[..., Path]) -> None:
    with open_model(folder("llama"), "float32", USUAL, None) as model:
        model.plan(PAIRS)
        assert "network" not in vars(model)
        model.score(PAIRS[:1])
        assert "network" in vars(model)
    assert "network" not in vars(model)


def test_a_folder_that_lacks_weights_is_refused_and_not_filled_at_random(
    folder: Callable[..., Path], tmp_path: Path
) -> None:
    from safetensors.torch import load_file, save_file

    for path in folder("llama").iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    tensors = load_file(tmp_path / "model.safetensors")
    tensors.pop("model.layers.1.mlp.up_proj.weight")
    save_file(tensors, tmp_path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelUnavailable, match="lack 1 of the model's tensors"):
        HfModel(tmp_path, "cpu", "float32").score(PAIRS[:1])


def test_torn_weights_are_named(folder: Callable[..., Path], tmp_path: Path) -> None:
    for path in folder("llama").iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    weights = tmp_path / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(ModelUnavailable, match="cannot be loaded"):
        HfModel(tmp_path, "cpu", "float32").score(PAIRS[:1])


@pytest.mark.parametrize("device", ["cuda:99", "abacus"])
def test_a_device_that_is_not_there_is_named(device: str, folder: Callable[..., Path]) -> None:
    with pytest.raises(NotPossible, match=device) as caught:
        HfModel(folder("llama"), device, "float32").score(PAIRS[:1])
    assert "cpu" in caught.value.hint


def test_an_error_of_ours_is_no_fault_of_the_device(llama: HfModel, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*given: object) -> list[float]:
        raise RuntimeError(message)

    monkeypatch.setattr("uae_bench.lm.hf.score_encoded", fails)
    message = "Expected all tensors to be on the same device, but found at least two devices, cuda:0 and cpu!"
    with pytest.raises(RuntimeError, match="same device"):
        llama.score(PAIRS[:1])
    message = "MPS backend out of memory"
    with pytest.raises(NotPossible, match="too small"):
        llama.score(PAIRS[:1])
