"""A selector learns its gains, is chosen by dev, and leaves an ordinary cross-encoder."""

from __future__ import annotations

import dataclasses
import json
import math
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sentence_transformers import CrossEncoder

from tests.systems.uae.parts import ASKED, FILLERS, toy_encoder
from uae_bench.errors import ModelUnavailable, NotPossible
from uae_bench.prompts import shown
from uae_bench.records import Likelihood, Passage, Query, Ranking, RetrievalView, Run, TrainingSet
from uae_bench.retrieval.component import Resources
from uae_bench.retrieval.cross_encoder import CROSS_ENCODER, CrossEncoderSettings
from uae_bench.store import file_digest
from uae_bench.systems import TRAINERS
from uae_bench.systems.gainrag.data import Candidates, learnable
from uae_bench.systems.gainrag.train import teacher_summary

QUICK = {
    "batch": 8, "epochs": 4, "evaluations": 1, "patience": 4, "learning_rate": 0.02, "max_length": 24, "group": 5,
}  # fmt: skip
KINDS = {"fact": 1.0, "bit": 0.4, "nothing": 0.0}


@lru_cache(maxsize=2)
def gained_set(permuted: bool = False) -> TrainingSet:
    """48 train and 24 dev queries over six passages: one tells a fact, one a bit, four nothing. The perplexity of an
    answer is e^(5 (1 − U)). `permuted` deals utilities and likelihoods of each query by lot.
    """
    rng = np.random.default_rng(0)
    passages: dict[str, Passage] = {}
    utilities, contrasts, rankings = {}, {}, {}
    splits: dict[str, list[Query]] = {"train": [], "dev": []}
    for number in range(72):
        query = Query(f"q{number}", f"who knows about {rng.choice(ASKED)}", None)
        values = {}
        for place, kind in enumerate(rng.permutation(["fact", "bit", *["nothing"] * 4])):
            name = f"{query.id}-{place}"
            passages[name] = Passage(name, f"{rng.choice(FILLERS)} {kind} {rng.choice(ASKED)}", "", "d")
            values[name] = KINDS[str(kind)]
        names = list(values)
        if permuted:
            values = dict(zip(names, rng.permutation(list(values.values())).tolist(), strict=True))
        utilities[query.id] = values
        contrasts[query.id] = {name: (Likelihood(10 * (value - 1), 2),) for name, value in values.items()}
        rankings[query.id] = Ranking(tuple(names), tuple(float(-place) for place in range(len(names))))
        splits["train" if number < 48 else "dev"].append(query)
    told = {"task": "toy", "scorer": "hf:toy", "license": "CC0-1.0"}
    run = Run("first", 6, rankings)
    return TrainingSet(
        passages, splits["train"], splits["dev"], run, utilities, {}, contrasts=contrasts, provenance=told
    )


def trained(out: Path, data: TrainingSet | None = None, seed: int = 0, **options: object) -> dict[str, Any]:
    trainer = TRAINERS["gainrag"]
    config = trainer.configure({**QUICK, "selector": str(toy_encoder()), **options})
    trainer.train(data or gained_set(), config, "not read", seed, out, Resources())
    report: dict[str, Any] = json.loads((out / "training.json").read_text())
    return report


@pytest.fixture(scope="module")
def product(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    out = tmp_path_factory.mktemp("gainrag") / "out"
    return out, trained(out)


def test_it_orders_dev_better_than_its_start(product: tuple[Path, dict[str, Any]]) -> None:
    folder, report = product
    told = {point["step"]: point["eval_ExpUtil@1"] for point in report["selector"]["dev"]}
    kept = report["selector"]["kept"]
    assert told[kept] == max(told.values()) > told[0] + 0.2
    assert told[kept] == pytest.approx(dev_exp_util(folder), abs=0.02)
    assert TRAINERS["gainrag"].remarks(folder) == ()


def dev_exp_util(folder: Path) -> float:
    """ExpUtil@1 on dev by the reranker of the table, apart from the trainer."""
    data = gained_set()
    view = RetrievalView(tuple(data.passages.values()), data.dev, None)
    reranker = CROSS_ENCODER.build(str(folder), CrossEncoderSettings(), Resources())
    run = reranker.rerank(view, data.candidates, depth=1).run
    return float(np.mean([data.utilities[query.id][run.rankings[query.id].passages[0]] for query in data.dev]))


def test_the_product_is_an_ordinary_cross_encoder_without_pickle(product: tuple[Path, dict[str, Any]]) -> None:
    folder, _ = product
    data = gained_set()
    pair = (data.dev[0].text, shown(next(iter(data.passages.values()))))
    model: Any = CrossEncoder(str(folder), device="cpu", local_files_only=True)
    assert model.num_labels == 1 and np.isfinite(model.predict([pair])).all()
    suffixes = {path.suffix for path in folder.rglob("*") if path.is_file()}
    assert suffixes <= {".safetensors", ".json", ".md", ".svg", ".txt"}
    card = (folder / "README.md").read_text()
    for fact in ("2505.18710", "hf:toy", "CC0-1.0", "| toy |", "`alpha` | 0.5", str(toy_encoder())):
        assert fact in card
    assert "<svg" in (folder / "curves.svg").read_text()


def test_the_product_reads_as_many_tokens_as_it_learnt_to(product: tuple[Path, dict[str, Any]]) -> None:
    folder, _ = product
    reranker: Any = CROSS_ENCODER.build(str(folder), CrossEncoderSettings(), Resources())
    query, words = "who knows about river", "old " * 24
    first, other = reranker.model.predict([(query, words + "fact"), (query, words + "nothing")])
    assert reranker.model.max_seq_length == 24
    assert first == other


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(tmp_path: Path) -> None:
    for folder, seed in (("first", 3), ("again", 3), ("other", 4)):
        trained(tmp_path / folder, seed=seed, epochs=1, min_gain=0)
    first, again, other = (
        {path.name: file_digest(path) for path in sorted((tmp_path / name).rglob("*")) if path.is_file()}
        for name in ("first", "again", "other")
    )
    assert first == again and first["model.safetensors"] != other["model.safetensors"]


def test_permuted_gains_leave_the_start_as_it_was(tmp_path: Path) -> None:
    report = trained(tmp_path / "out", data=gained_set(permuted=True), epochs=2, min_gain=3)
    assert report["selector"]["kept"] == 0
    assert TRAINERS["gainrag"].remarks(tmp_path / "out") == (
        "dev did not improve: this selector is the model that training starts from",
    )


def test_a_selector_of_its_own_head_starts_with_it(tmp_path: Path, product: tuple[Path, dict[str, Any]]) -> None:
    folder, report = product
    again = trained(tmp_path / "out", selector=str(folder), epochs=1)
    points = {point["step"]: point["eval_ExpUtil@1"] for point in report["selector"]["dev"]}
    assert again["selector"]["dev"][0]["eval_ExpUtil@1"] == pytest.approx(points[report["selector"]["kept"]], abs=1e-6)


def test_only_the_first_candidates_of_the_run_are_learnt_from() -> None:
    data = gained_set()
    item = learnable(data.train, data, 4)[0]
    assert list(item.gains) == list(data.candidates.rankings[item.query.id].passages[:4])


def test_the_report_tells_how_sharp_the_teacher_is() -> None:
    # perplexities 1 and 3: shares 2/3 and 1/3
    gains = {"a": -math.log(2), "b": -math.log(4)}
    told = teacher_summary([Candidates(Query("q", "?", None), gains)])
    entropy = (2 / 3 * math.log(3 / 2) + 1 / 3 * math.log(3)) / math.log(2)
    assert told == pytest.approx({"share_of_best": 2 / 3, "normalised_entropy": entropy, "perplexity_of_best": 1})


def test_training_leaves_the_callers_randomness_as_it_was(tmp_path: Path) -> None:
    torch.manual_seed(5)
    expected = torch.get_rng_state()
    trained(tmp_path / "out", epochs=1)
    assert torch.equal(torch.get_rng_state(), expected)


def test_without_contrastive_likelihoods_it_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NotPossible, match="holds no contrastive likelihoods"):
        trained(tmp_path / "out", data=dataclasses.replace(gained_set(), contrasts=None))


@pytest.mark.parametrize("split", ["train", "dev"])
def test_a_split_without_gains_cannot_be_trained_on(split: str, tmp_path: Path) -> None:
    others: Any = {split: [dataclasses.replace(query, id=f"{query.id}?") for query in getattr(gained_set(), split)]}
    with pytest.raises(NotPossible, match=f"{split} queries has two candidates with gains"):
        trained(tmp_path / "out", data=dataclasses.replace(gained_set(), **others))


def test_a_start_that_is_not_there_is_named_with_the_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    trainer = TRAINERS["gainrag"]
    with pytest.raises(ModelUnavailable, match="no-such-owner/no-such-model") as caught:
        trainer.identity(trainer.configure({"selector": "no-such-owner/no-such-model"}))
    assert "lab:encoder" in caught.value.hint
