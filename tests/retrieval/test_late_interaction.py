"""Late interaction against MaxSim by hand, and what its models must be."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import load_file, save_file

from tests.retrieval.parts import QUESTIONS, TEXTS, build, save_tiny_bert, tiny_colbert, tiny_encoder, view
from uae_bench.errors import BadInput, UsageError
from uae_bench.prompts import shown
from uae_bench.retrieval import RETRIEVERS, late_interaction
from uae_bench.retrieval.late_interaction import TokenVectors, max_sim, nearest_passages


def by_hand(passage: np.ndarray[Any, Any], query: np.ndarray[Any, Any]) -> float:
    return float(sum(max(float(np.dot(asked, said)) for said in passage) for asked in query))


def test_max_sim_of_vectors_by_hand() -> None:
    # query (1, 0), (0, 1). a: (1, 0), (0.6, 0.8): 1 + 0.8. b: (-1, 0): -1 + 0. c: zero vector, a blank passage: 0
    a, b, c = ([[1, 0], [0.6, 0.8]], [[-1, 0]], [[0, 0]])
    passages = TokenVectors.of([np.array(each, np.float32) for each in (a, b, c)], 2)
    query = np.eye(2, dtype=np.float32)
    assert max_sim(passages, query) == pytest.approx([1.8, -1.0, 0.0])
    rows, scores = nearest_passages(passages, query, 2)
    assert rows.tolist() == [0, 2] and scores.tolist() == pytest.approx([1.8, 0.0])
    assert max_sim(passages, query[:0]).tolist() == [0, 0, 0]


@settings(max_examples=40, deadline=None)
@given(lengths=st.lists(st.integers(1, 9), min_size=1, max_size=12), depth=st.integers(1, 14), seed=st.integers(0, 99))
def test_any_block_and_depth_give_the_ranking_by_hand(lengths: list[int], depth: int, seed: int) -> None:
    rng = np.random.default_rng(seed)

    def unit(rows: int) -> np.ndarray[Any, Any]:
        drawn = rng.normal(size=(rows, 4))
        return np.asarray(drawn / np.linalg.norm(drawn, axis=1, keepdims=True), dtype=np.float32)

    matrices = [unit(length) for length in lengths]
    matrices[-1] = matrices[0]  # a tie
    query = unit(3)
    expected = sorted((-np.float32(by_hand(each, query)), row) for row, each in enumerate(matrices))[:depth]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(late_interaction, "BLOCK", 5)
        passages = TokenVectors.of(matrices, 4)
        rows, scores = nearest_passages(passages, query, depth)
        assert len(list(passages.blocks())) <= len(lengths)
    assert scores == pytest.approx([-score for score, _ in expected], abs=1e-6)
    assert rows.tolist() == [row for _, row in expected]


def test_a_run_is_max_sim_of_the_models_own_vectors() -> None:
    from sentence_transformers import MultiVectorEncoder

    model: Any = MultiVectorEncoder(str(tiny_colbert()), device="cpu")
    asked = dict(zip(QUESTIONS, model.encode_query(list(QUESTIONS.values()), convert_to_numpy=True), strict=True))
    passages = {p.id: model.encode_document(shown(p), convert_to_numpy=True) for p in view().passages}
    assert {len(each) for each in asked.values()} == {12}  # filled up with [MASK], which is scored
    retriever = build("colbert", str(tiny_colbert()))
    corpus = retriever.retrieve(view(), depth=5)
    pooled = retriever.retrieve(view(pools=dict.fromkeys(QUESTIONS, tuple(TEXTS))), depth=5)
    for query, ranking in corpus.rankings.items():
        own = {name: by_hand(passages[name], asked[query]) for name in passages}
        assert dict(zip(ranking.passages, ranking.scores, strict=True)) == pytest.approx(own, abs=1e-4)
        assert list(ranking.passages) == sorted(own, key=lambda name: -own[name])
        assert pooled.rankings[query] == ranking


def test_it_reorders_a_run() -> None:
    run = build("bm25").retrieve(view(), depth=3)
    colbert = build("colbert", str(tiny_colbert()))
    whole = colbert.retrieve(view(), depth=5)
    again = colbert.rerank(view(), run, depth=3).run
    for query, ranking in again.rankings.items():
        kept = [name for name in whole.rankings[query].passages if name in run.rankings[query].passages]
        assert list(ranking.passages) == kept


def test_prefixes_and_length_change_what_is_read() -> None:
    plain, asked, short = (
        build("colbert", str(tiny_colbert()), **options)
        for options in ({}, {"query_prefix": "steam "}, {"max_length": 4})
    )
    runs = [each.retrieve(view(), depth=5).rankings["q1"].scores for each in (plain, asked, short)]
    assert len(set(runs)) == 3
    searchers = [each.prepare(view()) for each in (plain, short)]
    facts = [each.facts(each.encode(()), depth=1) for each in searchers]
    assert facts[0]["passages_truncated"] < facts[1]["passages_truncated"] == len(TEXTS)
    assert facts[1]["token_vectors"] <= 4 * len(TEXTS)
    with pytest.raises(UsageError, match="32 positions"):
        build("colbert", str(tiny_colbert()), max_length=99).retrieve(view(), depth=1)


@pytest.fixture(scope="module")
def stanford(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint as ColBERTv2 is published: one file of weights, `linear.weight` in it, and artifact.metadata."""
    folder = tmp_path_factory.mktemp("stanford")
    save_tiny_bert(folder, "BertModel", ["[unused0]", "[unused1]", "harbour", "the", "who"])
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "architectures": ["HF_ColBERT"]}))
    weights = {f"bert.{name}": each for name, each in load_file(folder / "model.safetensors").items()}
    head = np.random.default_rng(0).normal(size=(8, 16)).astype(np.float32)
    save_file({**weights, "linear.weight": head}, folder / "model.safetensors", metadata={"format": "pt"})
    metadata = {"query_maxlen": 10, "doc_maxlen": 18, "mask_punctuation": True, "attend_to_mask_tokens": False}
    (folder / "artifact.metadata").write_text(json.dumps(metadata))
    return folder


def test_a_checkpoint_of_stanford_loads_with_its_markers_and_lengths(stanford: Path) -> None:
    retriever = build("colbert", str(stanford))
    run = retriever.retrieve(view(), depth=5)
    assert {len(ranking.passages) for ranking in run.rankings.values()} == {5}
    assert retriever.max_length == 18
    assert [len(vectors) for vectors in retriever.encode_queries(["who"])] == [10]
    assert retriever.passage_prefix == "[unused1] "
    weights = load_file(stanford / "model.safetensors")
    own = retriever.model[0].auto_model.state_dict()
    name = "embeddings.word_embeddings.weight"
    assert np.array_equal(own[name].numpy(), weights[f"bert.{name}"])
    assert np.array_equal(retriever.model[1].linear.weight.detach().numpy(), weights["linear.weight"])


@pytest.fixture(scope="module")
def pylate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint as PyLate saves it: its own Dense, no module for masks and lengths, `[Q] ` and `[D] ` as tokens."""
    folder = tmp_path_factory.mktemp("pylate")
    save_tiny_bert(folder, "BertModel", ["[Q] ", "[D] ", "harbour", "the", "who", "."])
    tokens = json.loads((folder / "tokenizer.json").read_text())
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": True, "special": False}
    for mark in ("[Q] ", "[D] "):
        tokens["added_tokens"].append({"id": tokens["model"]["vocab"][mark], "content": mark, **flags})
    (folder / "tokenizer.json").write_text(json.dumps(tokens))
    modules = {"": "sentence_transformers.models.Transformer", "1_Dense": "pylate.models.Dense.Dense"}
    listing = [{"idx": at, "name": str(at), "path": path, "type": modules[path]} for at, path in enumerate(modules)]
    (folder / "modules.json").write_text(json.dumps(listing))
    (folder / "sentence_bert_config.json").write_text('{"max_seq_length": 31, "do_lower_case": false}')
    own: dict[str, Any] = {
        "model_type": "ColBERT", "prompts": {}, "default_prompt_name": None, "similarity_fn_name": "MaxSim",
        "query_prefix": "[Q] ", "document_prefix": "[D] ", "query_length": 10, "document_length": 18,
        "attend_to_expansion_tokens": False, "skiplist_words": ["."],
    }  # fmt: skip
    (folder / "config_sentence_transformers.json").write_text(json.dumps(own))
    (folder / "1_Dense").mkdir()
    shape = {"in_features": 16, "out_features": 8, "bias": False}
    (folder / "1_Dense" / "config.json").write_text(
        json.dumps({**shape, "activation_function": "torch.nn.modules.linear.Identity"})
    )
    head = np.random.default_rng(0).normal(size=(8, 16)).astype(np.float32)
    save_file({"linear.weight": head}, folder / "1_Dense" / "model.safetensors", metadata={"format": "pt"})
    return folder


def test_a_checkpoint_of_pylate_gives_the_vectors_of_its_weights(pylate: Path) -> None:
    import torch
    from transformers import AutoTokenizer, BertModel

    retriever = build("colbert", str(pylate))
    assert {len(ranking.passages) for ranking in retriever.retrieve(view(), depth=5).rankings.values()} == {5}
    assert (retriever.passage_prefix, retriever.max_length) == ("[D] ", 18)

    bert, vocabulary = BertModel.from_pretrained(pylate), AutoTokenizer.from_pretrained(pylate).get_vocab()
    head = load_file(pylate / "1_Dense" / "model.safetensors")["linear.weight"]

    def expected(*pieces: str, attended: int) -> np.ndarray[Any, Any]:
        ids = torch.tensor([[vocabulary[piece] for piece in pieces]])
        mask = (torch.arange(len(pieces)) < attended).long()[None]
        with torch.inference_mode():
            states = bert(input_ids=ids, attention_mask=mask).last_hidden_state[0].numpy()
        vectors = states @ head.T
        return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True))

    passage = expected("[CLS]", "[D] ", "the", "harbour", ".", "[SEP]", attended=6)
    found = retriever.encode_passages(["the harbour."]).vectors
    assert found == pytest.approx(np.delete(passage, 4, axis=0), abs=1e-5)  # of a sign in the skip list no vector
    query = expected("[CLS]", "[Q] ", "who", "[SEP]", *["[MASK]"] * 6, attended=4)
    (asked,) = retriever.encode_queries(["who"])
    assert asked == pytest.approx(query, abs=1e-5)  # filled up to ten, and what fills is scored, not read


def test_its_identity_reads_all_that_decides(stanford: Path, tmp_path: Path) -> None:
    component = RETRIEVERS["colbert"]
    other = shutil.copytree(stanford, tmp_path / "other")
    (other / "artifact.metadata").write_text('{"doc_maxlen": 300}')
    first, second = (component.identity(str(each), component.config())["files"] for each in (stanford, other))
    assert first != second


def test_models_of_other_kinds_are_refused_while_planning(tmp_path: Path) -> None:
    component = RETRIEVERS["colbert"]
    for folder in (tiny_encoder(), save_tiny_bert(tmp_path / "bert", "BertModel")):
        with pytest.raises(BadInput, match="no late-interaction model"):
            component.identity(str(folder), component.config())
    pickled = shutil.copytree(tiny_colbert(), tmp_path / "pickled")
    (pickled / "model.safetensors").rename(pickled / "pytorch_model.bin")
    with pytest.raises(BadInput, match="pickle"):
        component.identity(str(pickled), component.config())
    foreign = shutil.copytree(tiny_colbert(), tmp_path / "foreign")
    listing = foreign / "modules.json"
    listing.write_text(listing.read_text().replace("sentence_transformers.base.modules.dense.Dense", "theirs.Dense"))
    with pytest.raises(BadInput, match="never runs here"):
        component.identity(str(foreign), component.config())
