"""Reranking with a cross-encoder of the true class, random weights."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from sentence_transformers import CrossEncoder

from tests.retrieval.parts import QUESTIONS, TEXTS, build, tiny_encoder, tiny_splade, view
from uae_bench.errors import BadInput, ModelUnavailable
from uae_bench.prompts import shown
from uae_bench.records import Ranking, Run
from uae_bench.retrieval import RETRIEVERS


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A one-output BERT cross-encoder on the tiny encoder's transformer."""
    model = CrossEncoder(str(tiny_encoder()), num_labels=1, device="cpu")
    place = tmp_path_factory.mktemp("cross-encoder")
    model.save_pretrained(str(place))
    return place


@pytest.fixture(scope="module")
def first() -> Run:
    run: Run = build("bm25").retrieve(view(), depth=4)
    return run


def test_scores_are_the_models_own_and_order_the_run(folder: Path, first: Run) -> None:
    reranked = build("cross-encoder", str(folder)).rerank(view(), first, depth=4).run
    model: Any = CrossEncoder(str(folder), device="cpu", activation_fn=torch.nn.Identity())
    passages = {passage.id: shown(passage) for passage in view().passages}
    for query, ranking in reranked.rankings.items():
        assert set(ranking.passages) == set(first.rankings[query].passages)
        alone = [float(model.predict([(QUESTIONS[query], passages[name])])[0]) for name in ranking.passages]
        assert ranking.scores == pytest.approx(alone, abs=1e-5)
        assert list(ranking.scores) == sorted(ranking.scores, reverse=True)


def test_a_default_prompt_is_read_as_the_library_reads_it(folder: Path, first: Run, tmp_path: Path) -> None:
    model: Any = CrossEncoder(str(folder), device="cpu", activation_fn=torch.nn.Identity())
    with torch.no_grad():
        model.model.classifier.weight.mul_(1e4)  # scores that a prompt moves visibly
    model.save_pretrained(str(tmp_path / "bare"))
    model.prompts, model.default_prompt_name = {"ask": "harbour "}, "ask"
    model.save_pretrained(str(tmp_path / "prompted"))
    bare, prompted = (
        build("cross-encoder", str(tmp_path / name)).rerank(view(), first, depth=4).run for name in ("bare", "prompted")
    )
    passages = {passage.id: shown(passage) for passage in view().passages}
    for query, ranking in prompted.rankings.items():
        alone = [float(model.predict([(QUESTIONS[query], passages[name])])[0]) for name in ranking.passages]
        assert ranking.scores == pytest.approx(alone, abs=1e-3)
        assert sorted(ranking.scores) != pytest.approx(sorted(bare.rankings[query].scores), abs=1e-3)


def test_scores_are_logits_where_a_sigmoid_would_make_all_of_them_one(folder: Path, first: Run, tmp_path: Path) -> None:
    model: Any = CrossEncoder(str(folder), device="cpu")
    with torch.no_grad():
        model.model.classifier.weight.mul_(100)
        model.model.classifier.bias.fill_(1000.0)
    model.save_pretrained(str(tmp_path))
    reranked = build("cross-encoder", str(tmp_path)).rerank(view(), first, depth=4).run
    scores = [row.scores for row in reranked.rankings.values()]
    assert all(len(set(row)) > 1 and min(row) > 100 for row in scores)


def test_a_checkpoint_in_half_precision_is_computed_in_float32(folder: Path, tmp_path: Path) -> None:
    model: Any = CrossEncoder(str(folder), device="cpu")
    model.model.half()
    model.save_pretrained(str(tmp_path))
    reranker: Any = build("cross-encoder", str(tmp_path))
    assert {weight.dtype for weight in reranker.model.model.parameters()} == {torch.float32}


def test_pairs_longer_than_the_model_reads_are_counted(folder: Path) -> None:
    # a word is a token, and 32 are read: [CLS] the harbour [SEP] the ... the [SEP] leaves 27 to the passage
    words = {"short": 3, "fits": 27, "over": 28, "far over": 400}
    seen = view({name: "the " * count for name, count in words.items()}, {"q": "the harbour"})
    first = Run("given", 9, {"q": Ranking(tuple(words), (4.0, 3.0, 2.0, 1.0))})
    name = f"cross-encoder:{folder}"
    told = build("cross-encoder", str(folder), batch=3).rerank(seen, first, depth=4)
    assert told.facts == {f"{name}: pairs": 4, f"{name}: pairs_truncated": 2}
    shorter = build("cross-encoder", str(folder), max_length=31).rerank(seen, first, depth=4)
    assert shorter.facts[f"{name}: pairs_truncated"] == 3
    scores = dict(zip(*(getattr(told.run.rankings["q"], part) for part in ("passages", "scores")), strict=True))
    assert scores["over"] == pytest.approx(scores["fits"], abs=1e-6)  # the last word is not read


def test_depth_cuts_and_an_empty_ranking_stays_empty(folder: Path, first: Run) -> None:
    reranker = build("cross-encoder", str(folder))
    assert {len(row.passages) for row in reranker.rerank(view(), first, depth=2).run.rankings.values()} == {2}
    nothing = build("bm25").retrieve(view(pools=dict.fromkeys(QUESTIONS, ())), depth=2)
    assert all(row.passages == () for row in reranker.rerank(view(), nothing, depth=2).run.rankings.values())


def test_a_query_that_the_run_lacks_is_an_error(folder: Path) -> None:
    with pytest.raises(BadInput, match="no ranking"):
        build("cross-encoder", str(folder)).rerank(view(), Run("none", 2, {}), depth=2)


def test_it_comes_after_a_first_stage_and_is_known_by_its_weights(folder: Path) -> None:
    component = RETRIEVERS["cross-encoder"]
    assert component.shapes == ("R->R",)
    assert set(component.identity(str(folder), component.config())) == {"model", "files"}
    assert len(TEXTS) == len(view().passages)


def test_weights_in_a_pickle_are_refused_before_anything_is_read(folder: Path, tmp_path: Path) -> None:
    pickled = tmp_path / "pickled"
    shutil.copytree(folder, pickled)
    (pickled / "model.safetensors").rename(pickled / "pytorch_model.bin")
    component = RETRIEVERS["cross-encoder"]
    with pytest.raises(BadInput, match="a pickle"):
        component.identity(str(pickled), component.config())


@pytest.mark.parametrize("made", [tiny_encoder, tiny_splade])
def test_a_model_without_a_head_that_scores_pairs_is_refused_while_planning(made: Callable[[], Path]) -> None:
    component = RETRIEVERS["cross-encoder"]
    with pytest.raises(BadInput, match=r"no cross-encoder: the model is a Bert(Model|ForMaskedLM), without a head"):
        component.identity(str(made()), component.config())
    with pytest.raises(BadInput, match="no cross-encoder"):
        build("cross-encoder", str(made())).model  # noqa: B018


def test_a_head_that_is_missing_from_the_weights_is_not_drawn_by_lot(folder: Path, tmp_path: Path) -> None:
    headless = shutil.copytree(folder, tmp_path / "headless")
    kept = {name: tensor for name, tensor in load_file(headless / "model.safetensors").items() if "class" not in name}
    save_file(kept, headless / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelUnavailable, match=r"lack 2 of the model's tensors, first 'classifier.bias'"):
        build("cross-encoder", str(headless)).model  # noqa: B018


def test_a_model_that_is_not_here_is_said_at_once() -> None:
    with pytest.raises(ModelUnavailable, match="no such folder"):
        RETRIEVERS["cross-encoder"].identity("./nowhere", RETRIEVERS["cross-encoder"].config())


def test_a_folder_may_have_an_at_sign_in_its_name(folder: Path, tmp_path: Path) -> None:
    component = RETRIEVERS["cross-encoder"]
    copied = shutil.copytree(folder, tmp_path / "mine@work")
    (copied / "notes.txt").mkdir()
    here, there = (component.identity(str(place), component.config()) for place in (folder, copied))
    assert here["files"] == there["files"]
