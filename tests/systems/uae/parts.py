"""A toy world: five things to ask about; for each a passage that tells it, one that tells half, one that names it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from tempfile import mkdtemp
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from tests.retrieval.parts import save_tiny_encoder
from uae_bench.encoder import BiEncoder
from uae_bench.lm.spec import parse_lm
from uae_bench.progress import SILENT, Progress
from uae_bench.prompts import shown
from uae_bench.reading import read_states
from uae_bench.records import Passage, Query, Ranking, Run, TrainingSet
from uae_bench.retrieval.component import Resources
from uae_bench.systems import TRAINERS

if TYPE_CHECKING:
    from uae_bench.lm.base import StateReader

ASKED = ("river", "castle", "bridge", "market", "tower")
TOLD = ("water", "stone", "arch", "trade", "height")
HALF = ("wet", "wall", "span", "stall", "tall")
FILLERS = ("old", "new", "far", "near", "red")
WORDS = (*ASKED, *TOLD, *HALF, *FILLERS, "who", "knows", "about", "fact", "nothing", "bit")

QUICK: Mapping[str, object] = {
    "mode": "adapter", "batch": 16, "epochs": 6, "evaluations": 1, "adapter_learning_rate": 0.02,
    "full_learning_rate": 0.005, "lora_learning_rate": 0.02, "lora_alpha": 4, "tau": 0.1, "max_length": 16,
    "reward_model": "lab:lfm2", "reward_mode": "full", "reward_epochs": 12, "reward_batch": 4, "reward_patience": 12,
    "reward_evaluations": 1,
    "reward_full_learning_rate": 0.005, "reward_lora_learning_rate": 0.005, "reward_max_length": 24, "lora_rank": 4,
    "reward_min_gap": 0.2, "reward_head_learning_rate": 0.01, "reward_head_width": 16, "reward_head_dropout": 0.0,
}  # fmt: skip


@lru_cache(maxsize=1)
def toy_encoder() -> Path:
    """A bi-encoder of the true classes that has learnt nothing: BERT, width 16, random weights."""
    return save_tiny_encoder(Path(mkdtemp(prefix="toy-encoder-")), WORDS)


@lru_cache(maxsize=3)
def toy_set(permuted: bool = False, halves_are_evidence: bool = False) -> TrainingSet:
    """80 train and 30 dev queries over 15 passages each: U is 1 where it is told, 0.4 where half is, else near 0.

    `permuted` deals the utilities of each query to its candidates by lot. With `halves_are_evidence` the passage
    that tells half is evidence too.
    """
    rng = np.random.default_rng(0)
    passages: dict[str, Passage] = {}
    utilities, evidence, rankings = {}, {}, {}
    splits: dict[str, list[Query]] = {"train": [], "dev": []}
    for number in range(110):
        split, thing = "train" if number < 80 else "dev", number % len(ASKED)
        query = Query(f"{split}{number}", f"who knows about {ASKED[thing]}", f"doc{number}")
        values = {}
        for kind, words in (("fact", TOLD), ("bit", HALF), ("nothing", FILLERS)):
            for other, word in enumerate(words):
                passage = f"{query.id}-{kind}{other}"
                text = f"{rng.choice(FILLERS)} {kind} {ASKED[other]} {word}"
                passages[passage] = Passage(passage, text, "", f"doc{number}")
                useful = {"fact": 1.0, "bit": 0.4, "nothing": 0.0}[kind] if other == thing else 0.0
                values[passage] = useful + 0.02 * float(rng.standard_normal())
        names = list(values)
        if permuted:
            values = dict(zip(names, rng.permutation(list(values.values())).tolist(), strict=True))
        evident = ("fact", "bit") if halves_are_evidence else ("fact",)
        utilities[query.id], evidence[query.id] = values, frozenset(f"{query.id}-{kind}{thing}" for kind in evident)
        rankings[query.id] = Ranking(tuple(names), tuple(float(-rank) for rank in range(len(names))))
        splits[split].append(query)
    told = {"task": "toy", "scorer": "hf:toy", "license": "CC0-1.0"}
    run = Run("first", 15, rankings)
    queries = {query.id: query for split in splits.values() for query in split}
    pairs = [(query, passage) for query, row in utilities.items() for passage in row]
    spec = parse_lm("lab:lfm2")
    with spec.open() as model:
        reader = cast("StateReader", model)
        states = read_states(reader, pairs, queries=queries, passages=passages, template=spec.prompt)
    return TrainingSet(
        passages, splits["train"], splits["dev"], run, utilities, evidence, states=states, provenance=told
    )


def trained(
    name: str, out: Path, data: TrainingSet | None = None, seed: int = 0, progress: Progress = SILENT, **options: object
) -> dict[str, Any]:
    """Runs a trainer on the toy set and reads its report."""
    trainer = TRAINERS[name]
    quick = {option: value for option, value in QUICK.items() if option in trainer.config.model_fields}
    config = trainer.configure({**quick, **options})
    trainer.train(data or toy_set(), config, str(toy_encoder()), seed, out, Resources(progress=progress))
    report: dict[str, Any] = json.loads((out / "training.json").read_text())
    return report


def dev_exp_util(folder: Path) -> float:
    """ExpUtil@1 on the dev queries of the toy set by a loaded model folder, worked out apart from the trainer."""
    data, encoder = toy_set(), BiEncoder.load(str(folder))
    found = []
    for query in data.dev:
        names = data.candidates.rankings[query.id].passages
        vectors = encoder.encode_passages([shown(data.passages[name]) for name in names])
        scores = vectors @ encoder.encode_queries([query.text])[0]
        found.append(data.utilities[query.id][names[int(scores.argmax())]])
    return float(np.mean(found))
