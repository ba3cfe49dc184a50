"""Learned sparse retrieval against dense products of the expanded texts, and what its models must be."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.retrieval.parts import QUESTIONS, TEXTS, build, save_tiny_bert, tiny_encoder, tiny_splade, view
from uae_bench.errors import BadInput, UsageError
from uae_bench.prompts import shown
from uae_bench.retrieval import RETRIEVERS, learned_sparse


def expanded(text: str) -> np.ndarray[Any, Any]:
    """max over tokens of log(1 + relu(logit)), straight from transformers (SPLADE v2, arXiv 2109.10086, eq. 6)."""
    from transformers import AutoModelForMaskedLM, AutoTokenizer

    folder = str(tiny_splade())
    tokens = AutoTokenizer.from_pretrained(folder)(text, return_tensors="pt", truncation=True)
    with torch.no_grad():
        logits = AutoModelForMaskedLM.from_pretrained(folder).eval()(**tokens).logits[0]
    return np.asarray(torch.log1p(torch.relu(logits)).max(dim=0).values.double())


@pytest.mark.parametrize("scores_at_a_time", [1, 8_000_000])
def test_a_run_is_the_product_of_the_expanded_texts(monkeypatch: pytest.MonkeyPatch, scores_at_a_time: int) -> None:
    monkeypatch.setattr(learned_sparse, "SCORES", scores_at_a_time)
    passages = {passage.id: expanded(shown(passage)) for passage in view().passages}
    retriever = build("splade", str(tiny_splade()))
    corpus = retriever.retrieve(view(), depth=5)
    pooled = retriever.retrieve(view(pools=dict.fromkeys(QUESTIONS, tuple(TEXTS))), depth=5)
    for query, ranking in corpus.rankings.items():
        asked = expanded(QUESTIONS[query])
        own = {name: float(asked @ weights) for name, weights in passages.items()}
        assert dict(zip(ranking.passages, ranking.scores, strict=True)) == pytest.approx(own, rel=1e-4)
        assert list(ranking.passages) == sorted(own, key=lambda name: -own[name])
        assert pooled.rankings[query].passages == ranking.passages
        assert pooled.rankings[query].scores == pytest.approx(ranking.scores, rel=1e-6)


def test_it_reorders_a_run() -> None:
    run = build("bm25").retrieve(view(), depth=3)
    splade = build("splade", str(tiny_splade()))
    whole = splade.retrieve(view(), depth=5)
    for query, ranking in splade.rerank(view(), run, depth=3).run.rankings.items():
        kept = [name for name in whole.rankings[query].passages if name in run.rankings[query].passages]
        assert list(ranking.passages) == kept


def test_a_saved_sparse_encoder_is_the_same_model(tmp_path: Path) -> None:
    from sentence_transformers import SparseEncoder

    SparseEncoder(str(tiny_splade()), device="cpu").save(str(tmp_path))
    first, second = (build("splade", str(each)).retrieve(view(), depth=5) for each in (tiny_splade(), tmp_path))
    assert first.rankings == second.rankings


def test_length_and_facts() -> None:
    short = build("splade", str(tiny_splade()), max_length=4).prepare(view())
    facts = short.facts(short.encode(view().queries), depth=1)
    assert facts["passages_truncated"] == facts["passages"] == len(TEXTS)
    assert 0 < facts["words_per_query"] <= short.passages.shape[1]
    with pytest.raises(UsageError, match="32 positions"):
        build("splade", str(tiny_splade()), max_length=99).retrieve(view(), depth=1)


def test_models_of_other_kinds_are_refused_while_planning(tmp_path: Path) -> None:
    component = RETRIEVERS["splade"]
    for folder in (tiny_encoder(), save_tiny_bert(tmp_path / "bert", "BertModel")):
        with pytest.raises(BadInput, match="no learned sparse model"):
            component.identity(str(folder), component.config())
    pickled = shutil.copytree(tiny_splade(), tmp_path / "pickled")
    (pickled / "model.safetensors").rename(pickled / "pytorch_model.bin")
    with pytest.raises(BadInput, match="pickle"):
        component.identity(str(pickled), component.config())
