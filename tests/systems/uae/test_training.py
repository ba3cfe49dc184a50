"""Real trainings of a tiny encoder, in seconds: what improves, what is left behind, what is refused."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sentence_transformers import SentenceTransformer

from tests.progress import Notes
from tests.systems.uae.parts import dev_exp_util, toy_encoder, toy_set, trained
from uae_bench.encoder import BiEncoder
from uae_bench.encoder_source import locate_encoder
from uae_bench.errors import ModelUnavailable, NotPossible
from uae_bench.store import folder_digest
from uae_bench.systems import TRAINERS
from uae_bench.systems.uae.data import CandidateSet
from uae_bench.systems.uae.teacher import Lesson, summary


@pytest.mark.parametrize("mode", ["adapter", "lora", "full"])
def test_each_mode_raises_dev_utility_and_the_folder_holds_the_best_checkpoint(mode: str, tmp_path: Path) -> None:
    report = trained("uae-direct", tmp_path / "out", mode=mode)
    points = {point["step"]: point for point in report["student"]["dev"]}
    best = points[report["student"]["kept"]]
    assert best["eval_ExpUtil@1"] == max(point["eval_ExpUtil@1"] for point in points.values())
    # low-rank changes to one layer over frozen random word vectors can do less than the other two
    assert best["eval_ExpUtil@1"] > points[0]["eval_ExpUtil@1"] + (0.1 if mode == "lora" else 0.3)
    assert best["eval_loss"] < points[0]["eval_loss"]
    assert TRAINERS["uae-direct"].remarks(tmp_path / "out") == ()
    assert dev_exp_util(tmp_path / "out") == pytest.approx(best["eval_ExpUtil@1"], abs=1e-6)


def test_the_whole_method_learns_from_a_reward_model_that_agrees_with_the_utilities(tmp_path: Path) -> None:
    progress = Notes()
    report = trained("uae", tmp_path / "out", progress=progress, epochs=15, patience=15)
    assert report["reward_model"]["dev_pairwise_accuracy"] > 0.55  # most pairs are noise: 0.5 is chance
    assert report["reward_model"]["dev_ndcg@1"] > 0.5  # the first of fifteen by lot: 0.09
    gate = report["gate"]["train"]
    assert gate["queries"] == 80 and gate["near"] == 80 * 14 and 0 < gate["kept"] <= gate["near"]
    assert report["teacher"]["normalised_entropy"] == pytest.approx(report["options"]["teacher_entropy"], abs=1e-3)
    assert dev_exp_util(tmp_path / "out") > dev_exp_util(toy_encoder()) + 0.3
    assert {"reward model", "reward scores", "student"} <= set(progress.labels)


def test_the_fair_opponent_has_the_same_negatives_and_hard_labels(tmp_path: Path) -> None:
    hard, soft = trained("infonce", tmp_path / "hard"), trained("uae", tmp_path / "soft")
    told = hard["teacher"]
    assert (told["kind"], told["lambda"], told["normalised_entropy"]) == ("one-hot", None, 0.0)
    assert told["mass"] == {"positive": 1.0, "further_evidence": 0.0, "negatives": 0.0}
    assert told["expected_utility"]["teacher"] == told["expected_utility"]["positive"]
    assert hard["gate"] == soft["gate"]
    assert hard["reward_model"] == soft["reward_model"]
    assert dev_exp_util(tmp_path / "hard") > dev_exp_util(toy_encoder())


def test_the_reward_model_keeps_its_best_weights_by_dev_or_on_request_its_last(tmp_path: Path) -> None:
    """On permuted utilities: what is learnt of the train queries only makes dev worse."""

    def reward(keep: str) -> dict[str, Any]:
        report = trained(
            "uae", tmp_path / keep, data=toy_set(permuted=True), reward_keep=keep, reward_epochs=10,
            reward_patience=100, reward_evaluations=3, reward_head_learning_rate=0.03, reward_head_width=128, epochs=1,
        )  # fmt: skip
        return dict(report["reward_model"])

    found = {"best": reward("best"), "last": reward("last")}
    losses = {point["step"]: point["eval_loss"] for point in found["best"]["dev"]}
    assert found["best"]["dev"] == found["last"]["dev"]  # the same training
    assert losses[found["best"]["kept"]] == min(losses.values())
    assert found["last"]["kept"] == 10 * 80 / 4 > found["best"]["kept"]  # epochs × train queries / batch
    assert found["last"]["dev_gain"] < found["best"]["dev_gain"]


@pytest.mark.parametrize(
    ("name", "options", "shared"),
    [
        ("uae", {}, True), ("uae", {"teacher_evidence": False}, False), ("uae-direct", {}, True),
        ("infonce", {}, False), ("infonce", {"label_evidence": True}, True),
    ],
)  # fmt: skip
def test_labels_are_shared_among_all_evidence_by_soft_teachers_and_by_hard_labels_on_request(
    name: str, options: dict[str, Any], shared: bool, tmp_path: Path
) -> None:
    report = trained(name, tmp_path / "out", data=toy_set(halves_are_evidence=True), epochs=1, **options)
    mass = report["teacher"]["mass"]
    assert (mass["further_evidence"] > 0.001) == shared
    assert sum(mass.values()) == pytest.approx(1)
    near = report["gate"]["train"]["near"]
    assert near == 80 * 13  # fifteen passages without the two that are evidence, whoever learns from them


def test_the_report_tells_where_the_teachers_mass_lies_and_what_a_reader_could_expect_of_it() -> None:
    sets = [
        CandidateSet("q", "doc", ("plus", "also", "far"), (0.0, 0.0, 0.0), first_negative=2),
        CandidateSet("r", "doc", ("plus", "far"), (0.0, 0.0)),
    ]
    utilities = {"q": {"plus": 4.0, "also": 2.0, "far": 0.0}, "r": {"plus": 1.0, "far": -1.0}}
    lesson = Lesson("reward", sets, [], [[0.5, 0.25, 0.25], [0.75, 0.25]], [], 2.0, 0.9)
    told = summary(lesson, utilities)
    assert told == {
        "kind": "reward", "lambda": 2.0, "normalised_entropy": 0.9,
        "mass": {"positive": 0.625, "further_evidence": 0.125, "negatives": 0.25},
        "expected_utility": {"teacher": (2.5 + 0.5) / 2, "positive": 2.5, "uniform": 1.0},
    }  # fmt: skip


def test_the_product_is_an_ordinary_directory_without_pickle(tmp_path: Path) -> None:
    trained("uae-direct", tmp_path / "out")
    model = SentenceTransformer(str(tmp_path / "out"), device="cpu", local_files_only=True)
    assert model.encode("who knows about river").shape == (16,)
    assert locate_encoder(str(tmp_path / "out")).query_prefix == ""
    suffixes = {path.suffix for path in (tmp_path / "out").rglob("*") if path.is_file()}
    assert suffixes <= {".safetensors", ".json", ".md", ".svg", ".txt"}
    card = (tmp_path / "out" / "README.md").read_text()
    for fact in ("2604.22722", "hf:toy", "CC0-1.0", "| toy |", "`adapter_learning_rate` | 0.02"):
        assert fact in card
    assert "<svg" in (tmp_path / "out" / "curves.svg").read_text()


@pytest.mark.parametrize("mode", ["adapter", "lora", "full"])
def test_the_product_reads_as_many_tokens_as_it_learnt_to(mode: str, tmp_path: Path) -> None:
    trained("uae-direct", tmp_path / "out", mode=mode, epochs=1)
    start, product = BiEncoder.load(str(toy_encoder())), BiEncoder.load(str(tmp_path / "out"))
    learnt = start.max_length if mode == "adapter" else 16  # the map learns from the encoder's own vectors
    assert product.max_length == learnt
    within, beyond = ("old " * count for count in (10, 16))
    one, other = product.encode_passages([beyond + "fact", beyond + "nothing"])
    assert np.array_equal(one, other) == (mode != "adapter")
    one, other = product.encode_passages([within + "fact", within + "nothing"])
    assert not np.array_equal(one, other)


@pytest.mark.parametrize("mode", ["adapter", "full"])
def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(mode: str, tmp_path: Path) -> None:
    for folder, seed in (("first", 3), ("again", 3), ("other", 4)):
        trained("uae", tmp_path / folder, seed=seed, mode=mode, epochs=2, reward_epochs=2, gate_margin=0)
    digests = [folder_digest(tmp_path / folder) for folder in ("first", "again", "other")]
    assert digests[0] == digests[1] != digests[2]


def test_training_leaves_the_callers_randomness_and_kernels_as_they_were(tmp_path: Path) -> None:
    torch.manual_seed(5)
    np.random.seed(5)
    expected = torch.get_rng_state(), np.random.get_state()[1].tolist()  # type: ignore[index]
    trained("uae-direct", tmp_path / "out", epochs=1)
    assert torch.equal(torch.get_rng_state(), expected[0])
    assert np.random.get_state()[1].tolist() == expected[1]  # type: ignore[index]
    assert not torch.are_deterministic_algorithms_enabled()


@pytest.mark.parametrize(("name", "keep"), [("uae", "best"), ("infonce", "best"), ("uae", "last")])
def test_permuted_utilities_bring_the_student_back_to_its_baseline(name: str, keep: str, tmp_path: Path) -> None:
    by_heart: dict[str, Any] = {
        "reward_keep": "last", "reward_epochs": 40, "reward_head_width": 128, "reward_head_learning_rate": 0.03,
    }  # fmt: skip
    report = trained(name, tmp_path / "out", data=toy_set(permuted=True), **(by_heart if keep == "last" else {}))
    if keep == "last":
        assert report["reward_model"]["train"][-1]["loss"] < 0.5  # 1 is an R that is 0 everywhere
    assert not report["reward_model"]["believed"]
    assert report["reward_model"]["dev_pairwise_accuracy"] == pytest.approx(0.5, abs=0.05)
    assert report["student"]["kept"] == 0
    assert TRAINERS[name].remarks(tmp_path / "out") == (
        "dev did not improve: this row is the encoder that training starts from",
    )
    assert same_vectors(tmp_path / "out", toy_encoder())


def test_a_gate_that_leaves_nothing_leaves_the_encoder_and_says_so(tmp_path: Path) -> None:
    progress = Notes()
    report = trained("uae-direct", tmp_path / "out", progress=progress, gate_utility_margin=5)
    assert report["gate"]["train"] == {"queries": 80, "dropped": 80, "near": 80 * 14, "kept": 0}
    assert report["teacher"]["normalised_entropy"] is None
    assert any("the encoder stays as it was" in note for note in progress.notes)
    assert same_vectors(tmp_path / "out", toy_encoder())


@pytest.mark.parametrize("split", ["train", "dev"])
def test_a_split_without_utilities_cannot_be_trained_on(split: str, tmp_path: Path) -> None:
    without: Any = {split: [dataclasses.replace(query, id=f"{query.id}?") for query in getattr(toy_set(), split)]}
    with pytest.raises(NotPossible, match=f"{split} queries has a candidate with a utility"):
        trained("uae", tmp_path / "out", data=dataclasses.replace(toy_set(), **without))


def test_a_reward_model_that_is_not_there_is_named_with_the_way_out(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(ModelUnavailable, match="no-such-owner/no-such-model") as caught:
        trained("uae", tmp_path / "out", reward_model="no-such-owner/no-such-model")
    assert "lab:lfm2" in caught.value.hint
    assert not (tmp_path / "out").exists()


def test_without_the_states_that_it_reads_it_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NotPossible, match="holds no states of lab:lfm2"):
        trained("uae", tmp_path / "out", data=dataclasses.replace(toy_set(), states=None))


def same_vectors(first: Path, second: Path) -> bool:
    texts = ["who knows about river", "old fact water", "red nothing tower"]
    left, right = (BiEncoder.load(str(path)).encode_queries(texts) for path in (first, second))
    return bool(np.allclose(left, right, atol=1e-6))
