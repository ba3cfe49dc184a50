"""The short names of published models: what each stands for, and that it runs, on tiny models in their places."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.retrieval.parts import build, tiny_colbert, tiny_encoder, tiny_splade, view
from tests.test_nv_embed import WORDS, save_tiny_nv_embed
from uae_bench.encoder_source import PRESETS, encoder_identity
from uae_bench.experiment.offline import _without_hub
from uae_bench.experiment.setup import full_name
from uae_bench.retrieval import RETRIEVERS
from uae_bench.retrieval.chain import parse_system

MODELS = {
    "bge": "BAAI/bge-base-en-v1.5",
    "bge-m3": "BAAI/bge-m3",
    "bge-reranker": "BAAI/bge-reranker-v2-m3",
    "colbertv2": "colbert-ir/colbertv2.0",
    "e5-mistral": "intfloat/e5-mistral-7b-instruct",
    "nv-embed-v2": "nvidia/NV-Embed-v2",
    "splade-v3": "naver/splade-v3",
}
"""Rows of Table 1 (arXiv 2604.22722) and their kin that are published models, and where those are."""
ASKED = {
    "bge": "Represent this sentence for searching relevant passages: ",
    "bge-m3": "",
    "e5-mistral": "Instruct: Given a web search query, retrieve relevant passages that answer the query\nQuery: ",
    "nv-embed-v2": "Instruct: Given a question, retrieve passages that answer the question\nQuery: ",
}
"""What their authors would have before a query; nothing stands before a passage."""


def tiny_mistral(folder: Path) -> Path:
    """A causal transformer that is pooled by its last token and normalised, as E5-Mistral is."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.models import Normalize, Pooling, Transformer
    from transformers import AutoTokenizer, MistralConfig, MistralModel

    config = MistralConfig(
        vocab_size=3 + len(WORDS), hidden_size=16, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2,
        num_key_value_heads=1, max_position_embeddings=40,
    )  # fmt: skip
    MistralModel(config).save_pretrained(folder)
    tokenizer = AutoTokenizer.from_pretrained(save_tiny_nv_embed(folder.with_name("tokenizer")), use_fast=True)
    tokenizer.pad_token = tokenizer.eos_token
    tokenizer.save_pretrained(folder)
    modules = [Transformer(str(folder)), Pooling(16, "lasttoken"), Normalize()]
    SentenceTransformer(modules=modules, device="cpu").save(str(folder))
    return folder


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A tiny model in the place of each published one."""
    from sentence_transformers import CrossEncoder

    place = tmp_path_factory.mktemp("hub")
    for name in ("nv", "e5", "tokenizer"):
        (place / name).mkdir()
    CrossEncoder(str(tiny_encoder()), num_labels=1, device="cpu").save_pretrained(str(place / "reranker"))
    return {
        "BAAI/bge-base-en-v1.5": tiny_encoder(),
        "BAAI/bge-m3": tiny_encoder(),
        "BAAI/bge-reranker-v2-m3": place / "reranker",
        "colbert-ir/colbertv2.0": tiny_colbert(),
        "intfloat/e5-mistral-7b-instruct": tiny_mistral(place / "e5"),
        "nvidia/NV-Embed-v2": save_tiny_nv_embed(place / "nv"),
        "naver/splade-v3": tiny_splade(),
    }


@pytest.fixture(autouse=True)
def _hub_is_here(hub: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    def find(name: str, revision: str, *, offline: str) -> Path:
        return hub[name]

    for module in ("uae_bench.weights", "uae_bench.encoder_source"):
        monkeypatch.setattr(f"{module}.find_folder", find)


@pytest.mark.parametrize("name", MODELS)
def test_a_preset_is_a_published_model_and_runs(name: str) -> None:
    component, built = RETRIEVERS[name], build(name)
    family, _, argument = component.means.partition(":")
    assert (PRESETS[argument].model if family == "dense" else argument) == MODELS[name]
    assert built.name == name and component.argument == ""
    assert component.identity("", component.config()) == RETRIEVERS[family].identity(argument, component.config())
    found = build("bm25").retrieve(view(), depth=4) if name == "bge-reranker" else None
    run = built.rerank(view(), found, depth=4).run if found else built.retrieve(view(), depth=4)
    assert run.system == name and {len(row.passages) for row in run.rankings.values()} == {4}


@pytest.mark.parametrize("name", ASKED)
def test_a_query_is_asked_as_the_authors_say(name: str) -> None:
    built: Any = build(name)
    assert (built.encoder.query_prefix, built.encoder.passage_prefix) == (ASKED[name], "")
    assert built.encoder.max_length <= (PRESETS[name].max_length or 10**6)
    assert encoder_identity(name).get("query_prefix", "") == ASKED[name]


def test_the_longest_text_is_the_authors_or_what_there_are_positions_for() -> None:
    assert (PRESETS["e5-mistral"].max_length, PRESETS["nv-embed-v2"].max_length) == (4096, 32768)
    assert build("e5-mistral").encoder.max_length == 40
    assert build("nv-embed-v2").encoder.max_length == 64


def test_every_name_has_something_to_take_its_place_without_the_hub() -> None:
    for name in MODELS:
        typed = f"bm25>{name}" if name == "bge-reranker" else name
        assert _without_hub(typed) == ("bm25" if name == "bge-reranker" else "dense")
    assert _without_hub("rrf(bm25,colbertv2>bge-reranker)>bge-reranker") == "rrf(bm25,dense)"
    assert _without_hub("rrf(bge,splade-v3)") == "dense"
    assert parse_system(full_name(_without_hub("combsum(bm25,rrf(bge,bm25),e5-mistral)"), "minilm")).name
