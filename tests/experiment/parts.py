"""A tiny task and tiny models of the true classes, on disk, and runs over them that take seconds."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from tests.task.parts import write_jsonl
from uae_bench.experiment import Experiment
from uae_bench.experiment.results import Results
from uae_bench.task.create import to_toml

SUBJECTS = ("harbour", "engine", "island", "library", "bridge", "tower")
PLACES = ("Vell", "Orm", "Tarn", "Isk", "Bero", "Lund", "Mar", "Oss", "Pell", "Quay", "Ruhn", "Sild")
WORDS = ("the", "of", "was", "built", "in", "when")
DOCUMENTS = {"train": 5, "dev": 2, "test": 5}
MEASURES = ("Success@1", "nDCG@10", "ExpUtil@1", "uNDCG@10", "TokenF1", "Lift", "Harm")

QUICK: Mapping[str, Any] = {
    "uae.mode": "adapter", "uae.epochs": 1, "uae.evaluations": 1, "uae.negatives": 2, "uae.batch": 4,
    "uae.reward_model": "lab:lfm2", "uae.reward_mode": "full", "uae.reward_epochs": 1, "uae.reward_evaluations": 1,
    "uae.reward_batch": 4, "uae.reward_group": 3, "uae.max_length": 24, "uae.reward_max_length": 24,
}  # fmt: skip
"""Options of `uae` that train it in about a second."""


@lru_cache(maxsize=1)
def encoder() -> Path:
    """A bi-encoder: BERT of width 16, random weights."""
    from tests.retrieval.parts import save_tiny_encoder

    words = (*WORDS, *SUBJECTS, *(place.lower() for place in PLACES))
    return save_tiny_encoder(Path(mkdtemp(prefix="tiny-encoder-")), words)


@lru_cache(maxsize=2)
def language_model(kind: str = "llama") -> Path:
    """A language model: two layers of width 32, random weights."""
    from tests.lm.conftest import new_folder  # torch is loaded only where a model is wanted

    return new_folder(Path(mkdtemp(prefix=f"tiny-{kind}-")), kind, begin=kind == "llama")


def write_task(folder: Path, *, answers: bool = True, models: bool = False, **changes: Any) -> Path:
    """A card `tiny.toml` and its JSONL beside it: twelve documents of six passages, two questions on each.

    Without `answers` the questions have evidence only. With `models` the card names tiny ones and measures by them.
    `changes` go into the card.
    """
    passages, queries = [], []
    splits = [split for split, count in DOCUMENTS.items() for _ in range(count)]
    for number, (place, split) in enumerate(zip(PLACES, splits, strict=True)):
        for row, subject in enumerate(SUBJECTS):
            text = f"The {subject} of {place} was built in {1800 + 7 * number + row}."
            passages.append({"id": f"{place}-{subject}", "text": text, "document_id": place})
        for row in (number % 6, (number + 3) % 6):
            query: dict[str, Any] = {
                "id": f"q-{place}-{row}",
                "text": f"When was the {SUBJECTS[row]} built?",
                "document_id": place,
                "split": split,
                "evidence": [f"{place}-{SUBJECTS[row]}"],
            }
            queries.append({**query, "answers": [str(1800 + 7 * number + row)]} if answers else query)
    write_jsonl(folder / "data" / "passages.jsonl", passages)
    write_jsonl(folder / "data" / "queries.jsonl", queries)
    if models:
        changes = {**model_fields(), **changes}
    return write_card(folder, has_answers=answers, **changes)


def model_fields() -> dict[str, Any]:
    """What a card says of tiny models."""
    model = f"hf:{language_model()}"
    return {"encoder": str(encoder()), "scorer": model, "generator": model, "measures": list(MEASURES)}


def write_card(folder: Path, **changes: Any) -> Path:
    """The card of `write_task`, with changes; None leaves a key out."""
    card: dict[str, Any] = {
        "name": "tiny", "title": "A tiny task", "license": "CC0-1.0", "reader": "jsonl", "data": "data",
        "pool": "document", "depth": 10, "context_size": 2, "baseline": "bm25", "encoder": "minilm",
        "measures": ["Success@1", "nDCG@10"], "splits": {split: {"use": split} for split in DOCUMENTS}, **changes,
    }  # fmt: skip
    path = folder / f"{card['name']}.toml"
    path.write_text(to_toml({key: value for key, value in card.items() if value is not None}), encoding="utf-8")
    return path


def prepare(card: Path, store: Path, retrievers: Sequence[str] = ("bm25",), **fields: Any) -> Experiment:
    """A checked experiment on a card."""
    return Experiment.prepare({"tasks": (str(card),), "retrievers": retrievers, **fields}, store=store, device="cpu")


def run(card: Path, place: Path, retrievers: Sequence[str] = ("bm25",), **fields: Any) -> Results:
    """The experiment run, with `place/store` and `place/runs`."""
    return prepare(card, place / "store", retrievers, **fields).run(place / "runs")


def contents(folder: Path, *names: str) -> dict[str, bytes]:
    """Path below the folder -> bytes, of every file with one of the names."""
    found = sorted(path for path in folder.rglob("*") if path.name in names)
    return {str(path.relative_to(folder)): path.read_bytes() for path in found}


def options(settings: Mapping[str, Any]) -> list[str]:
    """Settings as one types them."""
    return [part for key, value in settings.items() for part in ("--set", f"{key}={json.dumps(value)}")]
