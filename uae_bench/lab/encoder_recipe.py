"""Trains the lab's tiny encoder: the semantic baseline, which knows topics and words but nothing about usefulness.

It sees the passages of worlds of seeds from 1000 on and never their queries, answers or roles. Two passages of one
section of one document belong together, and so do the words of one passage: a span of words belongs to the passage that
it was cut from, or to a neighbour in its section. The objective is InfoNCE with the other passages of the batch as
negatives.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from uae_bench.lab.archive import Knobs
from uae_bench.lab.world import build_world

if TYPE_CHECKING:
    import torch
    from sentence_transformers import SentenceTransformer

FIRST_SEED = 1000  # design worlds have seeds 0-9, the leaderboard's has seed 100


@dataclass(frozen=True, slots=True)
class EncoderRecipe:
    """worlds: how many it reads. vocabulary, width, layers, heads, inner, longest: the BERT shape, tokens.
    steps of `batch` pairs at peak `rate`, after a share `warmup` of rising; temperature divides cosines.
    own_share: spans cut from the passage itself; the others come from a neighbour; span lengths in words."""

    seed: int = 0
    worlds: int = 2
    vocabulary: int = 2048
    width: int = 128
    layers: int = 2
    heads: int = 4
    inner: int = 256
    longest: int = 128
    steps: int = 600
    batch: int = 64
    rate: float = 1e-3
    warmup: float = 0.1
    temperature: float = 0.05
    own_share: float = 0.75
    shortest_span: int = 3
    longest_span: int = 8


DEFAULTS = EncoderRecipe()


def encoder_folder() -> Path:
    """The sentence-transformers directory that ships with the package."""
    return Path(__file__).parent / "weights" / "encoder"


def train_encoder(out: Path, recipe: EncoderRecipe = DEFAULTS) -> list[float]:
    """Trains from scratch, writes a sentence-transformers directory and returns the loss of every step.

    The same recipe gives the same bytes on the same machine: one thread, no dropout, seeded initial weights."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(recipe.seed)
            sections = _sections(recipe)
            model = _untrained(out, [text for section in sections for text in section], recipe)
            losses = _fit(model, _batches(sections, recipe), recipe)
    finally:
        torch.set_num_threads(threads)
    model.save(str(out), create_model_card=False)
    (out / "loss.json").write_text(json.dumps([round(loss, 4) for loss in losses]) + "\n")
    return losses


def _sections(recipe: EncoderRecipe) -> list[list[str]]:
    """The texts of all passages, section by section of each document."""
    found = []
    for seed in range(FIRST_SEED, FIRST_SEED + recipe.worlds):
        for document in build_world(seed, Knobs()).documents:
            by_section: dict[str, list[str]] = {}
            for passage in document.passages:
                by_section.setdefault(passage.section, []).append(passage.text)
            found += [texts for texts in by_section.values() if len(texts) > 1]
    return found


def _batches(sections: list[list[str]], recipe: EncoderRecipe) -> Iterator[tuple[list[str], list[str]]]:
    """Spans and their passages; no two of a batch come from one section."""
    rng = np.random.default_rng(recipe.seed)
    for _ in range(recipe.steps):
        spans, passages = [], []
        for number in rng.permutation(len(sections))[: recipe.batch]:
            first, second = (sections[number][i] for i in rng.permutation(len(sections[number]))[:2])
            words = (second if rng.random() < recipe.own_share else first).split()
            size = int(rng.integers(recipe.shortest_span, recipe.longest_span + 1))
            start = int(rng.integers(len(words) - size))
            spans.append(" ".join(words[start : start + size]))
            passages.append(second)
        yield spans, passages


def _untrained(folder: Path, texts: list[str], recipe: EncoderRecipe) -> SentenceTransformer:
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Normalize, Pooling, Transformer
    from tokenizers import BertWordPieceTokenizer
    from transformers import BertConfig, BertModel, BertTokenizerFast

    folder.mkdir(parents=True, exist_ok=True)
    pieces = BertWordPieceTokenizer(lowercase=True)
    pieces.train_from_iterator(texts, vocab_size=recipe.vocabulary, min_frequency=2, show_progress=False)
    tokenizer = BertTokenizerFast(tokenizer_object=pieces._tokenizer, model_max_length=recipe.longest)
    config = BertConfig(
        vocab_size=len(tokenizer), hidden_size=recipe.width, num_hidden_layers=recipe.layers,
        num_attention_heads=recipe.heads, intermediate_size=recipe.inner, max_position_embeddings=recipe.longest,
        hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0,
    )  # fmt: skip
    BertModel(config, add_pooling_layer=False).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    word = Transformer(str(folder), max_seq_length=recipe.longest)
    return SentenceTransformer(modules=[word, Pooling(recipe.width, "mean"), Normalize()], device="cpu")


def _fit(
    model: SentenceTransformer, batches: Iterator[tuple[list[str], list[str]]], recipe: EncoderRecipe
) -> list[float]:
    import torch

    model.train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=recipe.rate, weight_decay=0.01)
    rise = max(1, int(recipe.warmup * recipe.steps))
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min((step + 1) / rise, (recipe.steps - step) / max(1, recipe.steps - rise))
    )
    losses = []
    for spans, passages in batches:
        scores = _encode(model, spans) @ _encode(model, passages).T / recipe.temperature  # (B, B)
        loss = torch.nn.functional.cross_entropy(scores, torch.arange(len(spans)))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        losses.append(loss.item())
    return losses


def _encode(model: SentenceTransformer, texts: list[str]) -> torch.Tensor:
    features: dict[str, Any] = model.tokenize(texts)
    vectors: torch.Tensor = model(features)["sentence_embedding"]  # (B, D)
    return vectors
