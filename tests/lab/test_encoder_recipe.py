"""The lab's encoder: trained by the committed recipe, deterministic, a baseline that knows topics and not answers."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
from sentence_transformers import SentenceTransformer

from tests.progress import Notes
from uae_bench.lab.encoder_recipe import EncoderRecipe, build_encoder, encoder_folder, first_losses
from uae_bench.lab.world import Knobs, World, build_world

TINY = EncoderRecipe(worlds=1, vocabulary=400, width=32, heads=2, inner=32, steps=3, batch=8)


@pytest.fixture(scope="module")
def encoder() -> SentenceTransformer:
    return SentenceTransformer(str(encoder_folder()), device="cpu")


def success_at_1(encoder: SentenceTransformer, world: World) -> tuple[float, float]:
    """Share of queries whose best-scored passage of their document is evidence, and what random order would reach."""
    found, chance = [], []
    for document in world.documents:
        vectors = encoder.encode([p.text for p in document.passages], show_progress_bar=False)
        for query in world.queries:
            if query.document_id == document.id and query.evidence:
                best = int(np.argmax(vectors @ encoder.encode(query.text, show_progress_bar=False)))
                found.append(document.passages[best].id in query.evidence)
                chance.append(len(query.evidence) / len(document.passages))
    return float(np.mean(found)), float(np.mean(chance))


def digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def test_shipped_folder_is_small_complete_and_free_of_pickles() -> None:
    files = {f.name: f.stat().st_size for f in encoder_folder().rglob("*") if f.is_file()}
    assert files["model.safetensors"] <= 2_500_000
    assert {"README.md", "loss.json", "loss.svg", "modules.json", "tokenizer.json"} <= files.keys()
    assert not [name for name in files if name.endswith((".bin", ".pkl", ".pt"))]


def test_shipped_encoder_gives_unit_vectors(encoder: SentenceTransformer) -> None:
    vectors = encoder.encode(["who designed the mill", "a lender refused"], show_progress_bar=False)
    assert vectors.shape == (2, EncoderRecipe().width)
    assert np.linalg.norm(vectors, axis=1) == pytest.approx([1, 1], abs=1e-5)


def test_recipe_still_makes_the_shipped_encoder() -> None:
    # a few steps of the same training: data, tokenizer, initial weights, optimizer and schedule all enter
    committed = json.loads((encoder_folder() / "loss.json").read_text())
    assert len(committed) == EncoderRecipe().steps
    assert first_losses(8) == pytest.approx(committed[:8], abs=0.001)


def test_training_lowered_the_loss() -> None:
    committed = json.loads((encoder_folder() / "loss.json").read_text())
    assert np.mean(committed[-50:]) < 0.6 * np.mean(committed[:10])


def test_same_seed_gives_the_same_bytes_and_another_seed_others(tmp_path: Path) -> None:
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        losses = build_encoder(tmp_path / name, dataclasses.replace(TINY, seed=seed))
        assert len(losses) == TINY.steps
    a, b, c = (digest(tmp_path / name / "model.safetensors") for name in "abc")
    assert a == b != c
    assert digest(tmp_path / "a" / "loss.svg") == digest(tmp_path / "b" / "loss.svg")


def test_progress_hears_of_every_step(tmp_path: Path) -> None:
    progress = Notes()
    losses = build_encoder(tmp_path / "out", TINY, progress=progress)
    assert progress.labels == {"encoder": len(losses)}
    assert progress.totals == {"encoder": TINY.steps}


def test_encoder_beats_chance_and_leaves_most_answers_unfound(encoder: SentenceTransformer) -> None:
    # random: about 1.4 evidence passages among 22; the design asks for a baseline between 0.2 and 0.5
    success, chance = success_at_1(
        encoder, build_world(0, Knobs(train_documents=0, dev_documents=0, test_documents=20))
    )
    assert chance < 0.1
    assert 2 * chance < success < 0.5


def test_a_span_leads_to_its_passage(encoder: SentenceTransformer) -> None:
    document = build_world(0, Knobs(train_documents=1, dev_documents=0, test_documents=0)).documents[0]
    texts = [p.text for p in document.passages]
    spans = [" ".join(text.split()[5:13]) for text in texts]
    scores = encoder.encode(spans, show_progress_bar=False) @ encoder.encode(texts, show_progress_bar=False).T
    assert np.mean(np.argmax(scores, axis=1) == np.arange(len(texts))) > 0.7
