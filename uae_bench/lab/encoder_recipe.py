"""Trains the lab's tiny encoder: the semantic baseline, which knows topics and words but nothing about usefulness.

It sees the passages of worlds of seeds from 1000 on and never their queries, answers or roles. Two passages of one
section of one document belong together, and so do the words of one passage: a span of words belongs to the passage that
it was cut from, or to a neighbour in its section. The objective is InfoNCE with the other passages of the batch as
negatives.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from uae_bench.lab.archive import Knobs
from uae_bench.lab.threads import one_thread
from uae_bench.lab.world import build_world
from uae_bench.progress import SILENT, Progress

if TYPE_CHECKING:
    import torch
    from sentence_transformers import SentenceTransformer

Pairs = tuple[list[str], list[str]]  # spans and their passages

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
    layers: int = 1
    heads: int = 4
    inner: int = 256
    longest: int = 128
    steps: int = 500
    batch: int = 64
    rate: float = 1e-3
    warmup: float = 0.1
    temperature: float = 0.05
    own_share: float = 0.9
    shortest_span: int = 3
    longest_span: int = 8


DEFAULTS = EncoderRecipe()


def encoder_folder() -> Path:
    """The sentence-transformers directory that ships with the package."""
    return Path(__file__).parent / "weights" / "encoder"


def build_encoder(out: Path, recipe: EncoderRecipe = DEFAULTS, *, progress: Progress = SILENT) -> list[float]:
    """Trains from scratch and writes a sentence-transformers directory with its card and its loss curve.

    The same recipe gives the same bytes on the same machine. Returned are the losses of all steps.
    """
    with one_thread(), _started(recipe) as (model, batches):
        steps = progress.track(_fit(model, batches, recipe), total=recipe.steps, label="encoder")
        losses = [round(loss, 4) for loss in steps]
        out.mkdir(parents=True, exist_ok=True)
        model.save(str(out), create_model_card=False)
    (out / "loss.json").write_text(json.dumps(losses) + "\n", encoding="utf-8")
    (out / "README.md").write_text(_card(recipe, losses), encoding="utf-8")
    _plot(losses, out / "loss.svg")
    return losses


def first_losses(count: int, recipe: EncoderRecipe = DEFAULTS) -> list[float]:
    """The losses of the first steps of a training, without the rest: what a committed curve is checked against."""
    with one_thread(), _started(recipe) as (model, batches):
        return [round(loss, 4) for loss in islice(_fit(model, batches, recipe), count)]


@contextmanager
def _started(recipe: EncoderRecipe) -> Iterator[tuple[SentenceTransformer, Iterator[Pairs]]]:
    """The untrained encoder and its batches."""
    import torch

    sections = _sections(recipe)
    with torch.random.fork_rng(devices=[]), tempfile.TemporaryDirectory() as folder:
        torch.manual_seed(recipe.seed)
        model = _untrained(Path(folder), [text for section in sections for text in section], recipe)
        yield model, _batches(sections, recipe)


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


def _batches(sections: list[list[str]], recipe: EncoderRecipe) -> Iterator[Pairs]:
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
    from transformers import BertConfig, BertModel
    from transformers.models.bert import BertTokenizerFast  # type: ignore[attr-defined]  # made lazily

    pieces = BertWordPieceTokenizer(vocab=_vocabulary(texts, recipe.vocabulary), lowercase=True)
    tokenizer = BertTokenizerFast(tokenizer_object=pieces._tokenizer, model_max_length=recipe.longest)
    config = BertConfig(
        vocab_size=len(tokenizer), hidden_size=recipe.width, num_hidden_layers=recipe.layers,
        num_attention_heads=recipe.heads, intermediate_size=recipe.inner, max_position_embeddings=recipe.longest,
        hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0,
    )  # fmt: skip
    BertModel(config).save_pretrained(folder)  # type: ignore[no-untyped-call]
    tokenizer.save_pretrained(folder)
    word = Transformer(str(folder), max_seq_length=recipe.longest)
    return SentenceTransformer(modules=[word, Pooling(recipe.width, "mean"), Normalize()], device="cpu")


def _vocabulary(texts: list[str], size: int) -> dict[str, int]:
    """Word pieces and their ids. The trainer numbers inner letters in the order of a hash table, which differs from run
    to run and decides ties between merges; letters named in advance keep their numbers."""
    from tokenizers import BertWordPieceTokenizer

    named = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    inner = [f"##{letter}" for letter in sorted({letter for text in texts for letter in text.lower()}) if letter != " "]
    pieces = BertWordPieceTokenizer(lowercase=True)
    pieces.train_from_iterator(
        texts, vocab_size=size, min_frequency=2, special_tokens=[*named, *inner], show_progress=False
    )
    ordered = sorted(pieces.get_vocab().items(), key=lambda entry: entry[1])
    return {piece: number for number, (piece, _) in enumerate(ordered)}


def _fit(model: SentenceTransformer, batches: Iterator[Pairs], recipe: EncoderRecipe) -> Iterator[float]:
    import torch

    model.train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=recipe.rate, weight_decay=0.01)
    rise = max(1, int(recipe.warmup * recipe.steps))
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min((step + 1) / rise, (recipe.steps - step) / max(1, recipe.steps - rise))
    )
    for spans, passages in batches:
        scores = _encode(model, spans) @ _encode(model, passages).T / recipe.temperature  # (B, B)
        loss = torch.nn.functional.cross_entropy(scores, torch.arange(len(spans)))
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        schedule.step()
        yield loss.item()


def _encode(model: SentenceTransformer, texts: list[str]) -> torch.Tensor:
    features: dict[str, Any] = model.preprocess(texts)
    vectors: torch.Tensor = model(features)["sentence_embedding"]  # (B, D)
    return vectors


def _card(recipe: EncoderRecipe, losses: list[float]) -> str:
    last = FIRST_SEED + recipe.worlds - 1
    final = float(np.mean(losses[-20:]))
    return f"""---
library_name: sentence-transformers
pipeline_tag: sentence-similarity
license: apache-2.0
---

# The lab's encoder: a semantic baseline

A BERT shape with {recipe.layers} layer(s) of width {recipe.width} and {recipe.vocabulary} word pieces, mean-pooled to
unit vectors, trained from scratch by `uae_bench.lab.encoder_recipe` (seed {recipe.seed}).

* **Data**: passages of the lab's worlds of seeds {FIRST_SEED}-{last}, generated by `uae_bench.lab.world`
  (Apache-2.0). No query, answer or role was seen, and no world that is evaluated on.
* **Objective**: InfoNCE, temperature {recipe.temperature}; spans of {recipe.shortest_span}-{recipe.longest_span} words
  against the passage they come from ({recipe.own_share:.0%}) or a neighbour in its section, {recipe.batch} passages a
  batch, {recipe.steps} steps. It knows topics and words, not what answers a question.
* **Loss**: {losses[0]:.2f} at the first step, {final:.2f} over the last twenty (`loss.svg`, `loss.json`).
"""


def _plot(losses: list[float], file: Path) -> None:
    import matplotlib
    from matplotlib.figure import Figure

    with matplotlib.rc_context({"svg.hashsalt": "uae-bench"}):
        figure = Figure(figsize=(5, 3), layout="constrained")
        axes = figure.subplots()
        axes.plot(losses, linewidth=0.8)
        axes.set(xlabel="step", ylabel="InfoNCE loss, nats", ylim=(0, None))
        figure.savefig(file, format="svg", metadata={"Date": None})
