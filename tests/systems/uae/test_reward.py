"""The reward model's parts: its own measures by hand, LoRA on a true DeBERTa-v2, one pass of scoring."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.systems.uae.parts import QUICK, WORDS, toy_set, trained
from uae_bench.errors import BadInput
from uae_bench.progress import SILENT
from uae_bench.systems.pairs import Groups, pair_scores, tokenised_pairs
from uae_bench.systems.uae import UAE
from uae_bench.systems.uae.config import RewardOptions
from uae_bench.systems.uae.data import labelled
from uae_bench.systems.uae.lora import fold
from uae_bench.systems.uae.reward import (
    MarginLoss,
    margin_gain,
    ndcg_at_1,
    open_reward_model,
    pairwise_accuracy,
    train_reward_model,
)

PAIRS = {
    ("q", "a"): ("who knows", "old fact water"),
    ("q", "b"): ("who knows", "red"),
    ("r", "a"): ("river", "old wall"),
}


def options(**changes: object) -> RewardOptions:
    configured = UAE.configure({**QUICK, **changes})
    assert isinstance(configured, RewardOptions)
    return configured


@pytest.fixture(scope="module")
def deberta(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as the hub gives it for DeBERTa-v3, but for safetensors: random weights, and a tokenizer that is a
    SentencePiece model of the toy world's words and nothing else.
    """
    import sentencepiece
    from transformers import AutoTokenizer, DebertaV2Config, DebertaV2Model

    folder = tmp_path_factory.mktemp("deberta")
    (folder / "words.txt").write_text(f"{' '.join(WORDS)}\n" * 50)
    sentencepiece.SentencePieceTrainer.train(
        input=str(folder / "words.txt"), model_prefix=str(folder / "spm"), vocab_size=120, hard_vocab_limit=False,
        pad_id=0, bos_id=1, eos_id=2, unk_id=3, pad_piece="[PAD]", bos_piece="[CLS]", eos_piece="[SEP]",
        unk_piece="[UNK]", user_defined_symbols=["[MASK]"], minloglevel=2,
    )  # fmt: skip
    (folder / "tokenizer_config.json").write_text(json.dumps({"do_lower_case": False, "vocab_type": "spm"}))
    (folder / "config.json").write_text(json.dumps({"model_type": "deberta-v2"}))
    tokenizer = AutoTokenizer.from_pretrained(folder)
    config = DebertaV2Config(
        vocab_size=len(tokenizer), hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32,
        max_position_embeddings=32, relative_attention=True, pos_att_type=["p2c", "c2p"], type_vocab_size=0,
    )  # fmt: skip
    torch.manual_seed(0)
    base: Any = DebertaV2Model
    base(config).save_pretrained(folder)
    return folder


def test_accuracy_is_the_share_of_ordered_pairs_that_the_reward_orders_alike() -> None:
    # q: U a > b > c, R a > c > b: a,b and a,c right, b,c wrong: 2/3. r: one pair, tied by R: 1/2. s: no ordered pair
    utilities = {"q": {"a": 1.0, "b": 0.5, "c": 0.0}, "r": {"a": 1.0, "b": 0.0}, "s": {"a": 0.0, "b": 0.0}}
    scores = {"q": {"a": 3.0, "b": 1.0, "c": 2.0}, "r": {"a": 1.0, "b": 1.0}, "s": {"a": 1.0, "b": 0.0}}
    assert pairwise_accuracy(scores, utilities) == pytest.approx((2 / 3 + 1 / 2) / 2)


def test_ndcg_at_1_is_the_gain_of_the_first_over_the_best() -> None:
    # q: R puts b first, 0.5 of 1.0. r: negative utility gains nothing. s: nothing helps, left out
    utilities = {"q": {"a": 1.0, "b": 0.5}, "r": {"a": 2.0, "b": -1.0}, "s": {"a": -1.0, "b": 0.0}}
    scores = {"q": {"a": 0.0, "b": 1.0}, "r": {"a": 0.0, "b": 1.0}, "s": {"a": 0.0, "b": 1.0}}
    assert ndcg_at_1(scores, utilities) == pytest.approx((0.5 + 0.0) / 2)


def test_margin_gain_is_how_far_the_loss_is_below_that_of_zero_everywhere() -> None:
    # δ = 1. q: R's gap is 0.5, the loss 0.5, the gain 0.5. r: the gap is −0.25, the gain too. s: no ordered pair
    utilities = {"q": {"a": 1.0, "b": 0.0}, "r": {"a": 1.0, "b": 0.0}, "s": {"a": 1.0, "b": 1.0}}
    scores = {"q": {"a": 0.5, "b": 0.0}, "r": {"a": 0.0, "b": 0.25}, "s": {"a": 0.5, "b": 0.0}}
    # mean (0.5 − 0.25) / 2, standard deviation 0.75 / √2, over √2 queries
    assert margin_gain(scores, utilities, 1.0, 0.0) == pytest.approx((0.125, 0.375))
    zero = {query: dict.fromkeys(of, 0.0) for query, of in scores.items()}
    assert margin_gain(zero, utilities, 1.0, 0.0) == (0.0, 0.0)
    assert margin_gain(scores, utilities, 1.0, 1.0) == (0.0, float("inf"))  # no gap is above 1


def test_deberta_with_lora_is_trained_and_leaves_an_ordinary_product(deberta: Path, tmp_path: Path) -> None:
    report = trained("uae", tmp_path / "out", reward_model=str(deberta), reward_mode="lora", reward_epochs=8)
    losses = {point["step"]: point["eval_loss"] for point in report["reward_model"]["dev"]}
    assert report["reward_model"]["kept"] > 0
    assert losses[report["reward_model"]["kept"]] < losses[0] - 0.05


def test_lora_trains_only_its_matrices_and_the_head_and_folding_changes_no_score(deberta: Path) -> None:
    model = open_reward_model(deberta, options(reward_mode="lora"), "cpu")
    trainable = {name for name, value in model.named_parameters() if value.requires_grad}
    assert all("lora_" in name or "classifier" in name or "pooler" in name for name in trainable)
    assert any("lora_" in name for name in trainable) and any("classifier" in name for name in trainable)
    with torch.no_grad():
        for name, value in model.named_parameters():
            if "lora_B" in name:
                value.normal_(std=0.1, generator=torch.Generator().manual_seed(1))
    pairs = tokenised_pairs(model, PAIRS, 24)
    model.eval()
    before = pair_scores(model, pairs, list(PAIRS), SILENT, "")
    fold(model.model)
    after = pair_scores(model, pairs, list(PAIRS), SILENT, "")
    assert not any("lora_" in name for name, _ in model.named_parameters())
    assert all(after[q][p] == pytest.approx(before[q][p], abs=1e-5) for q, p in PAIRS)


def test_targets_that_no_layer_has_are_refused(deberta: Path) -> None:
    with pytest.raises(BadInput, match="lora_targets = 'no_such_layer'"):
        open_reward_model(deberta, options(reward_mode="lora", lora_targets="no_such_layer"), "cpu")


def test_scores_do_not_depend_on_what_shares_a_batch(deberta: Path) -> None:
    model = open_reward_model(deberta, options(reward_mode="full"), "cpu").eval()
    pairs = tokenised_pairs(model, PAIRS, 24)
    together = pair_scores(model, pairs, list(PAIRS), SILENT, "")
    for query, passage in PAIRS:
        alone = pair_scores(model, pairs, [(query, passage)], SILENT, "")
        assert alone[query][passage] == pytest.approx(together[query][passage], abs=1e-5)


def test_the_loss_puts_flat_scores_back_into_their_queries(deberta: Path) -> None:
    """Two queries of two and one candidates: only the pair of the first is ordered, so L = max(0, δ − (R_a − R_b))."""
    model = open_reward_model(deberta, options(reward_mode="full"), "cpu").eval()
    pairs = tokenised_pairs(model, PAIRS, 24)
    scores = pair_scores(model, pairs, list(PAIRS), SILENT, "")
    utilities, members = torch.tensor([[1.0, 0.0], [1.0, 0.0]]), torch.tensor([[True, True], [True, False]])
    flat = pairs.rows.gather([0, 1, 2])
    loss = MarginLoss(model, 1.0, 0.0)([flat], {"values": utilities, "members": members})
    assert loss.item() == pytest.approx(max(0.0, 1 - (scores["q"]["a"] - scores["q"]["b"])), abs=1e-5)


@pytest.mark.parametrize("mode", ["full", "lora"])
def test_a_checkpoint_in_half_precision_is_trained_in_float32(deberta: Path, tmp_path: Path, mode: str) -> None:
    from transformers import AutoModel, AutoTokenizer

    AutoTokenizer.from_pretrained(deberta).save_pretrained(tmp_path)
    AutoModel.from_pretrained(deberta).half().save_pretrained(tmp_path)
    model = open_reward_model(tmp_path, options(reward_mode=mode), "cpu")
    assert {weight.dtype for weight in model.parameters() if weight.requires_grad} == {torch.float32}


def test_train_groups_hold_the_best_and_others_by_lot_and_dev_groups_all(
    deberta: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Seen where the trainer asks for batches: it fetches the one after an evaluation before training goes on."""
    import numpy as np

    asked: dict[bool, list[list[list[float]]]] = {True: [], False: []}
    gather = Groups.__call__

    def seen(groups: Groups, rows: Sequence[Mapping[str, int]]) -> dict[str, Any]:
        found = gather(groups, rows)
        asked[rows[0]["item"] < groups.train_count].append(found["label"]["values"].tolist())
        return found

    monkeypatch.setattr(Groups, "__call__", seen)
    data, configured = toy_set(), options(reward_mode="full", reward_group=4, reward_evaluations=2, reward_epochs=2)
    train, dev = labelled(data.train, data, "evidence"), labelled(data.dev, data, "evidence")
    texts = {
        (item.query.id, p): (item.query.text, data.passages[p].text) for item in [*train, *dev] for p in item.candidates
    }
    model = open_reward_model(deberta, configured, "cpu")
    pairs = tokenised_pairs(model, texts, 24)
    train_reward_model(model, pairs, train, dev, data.utilities, configured, 1e-3, 0, SILENT)
    best = {max(data.utilities[item.query.id].values()) for item in train}
    rows = [row for batch in asked[True] for row in batch]
    assert {len(row) for row in rows} == {4}
    assert all(row[0] == pytest.approx(max(row)) and any(np.isclose(row[0], u) for u in best) for row in rows)
    assert len({tuple(row) for row in rows}) > len(train)
    assert {len(row) for batch in asked[False] for row in batch} == {15}
