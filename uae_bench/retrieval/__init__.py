"""First stages, rerankers and fusions by name: `RETRIEVERS["bm25"]` is a `Component`, imported when it is wanted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from uae_bench.registry import Registry

if TYPE_CHECKING:
    from uae_bench.retrieval.component import Component

RETRIEVERS: Registry[Component] = Registry(
    "retriever",
    {
        "random": "uae_bench.retrieval.chance:RANDOM",
        "bm25": "uae_bench.retrieval.bm25:BM25",
        "bm25-okapi": "uae_bench.retrieval.okapi:BM25_OKAPI",
        "dense": "uae_bench.retrieval.dense:DENSE",
        "bge": "uae_bench.retrieval.dense:BGE",
        "bge-m3": "uae_bench.retrieval.dense:BGE_M3",
        "e5-mistral": "uae_bench.retrieval.dense:E5_MISTRAL",
        "minilm": "uae_bench.retrieval.dense:MINILM",
        "nv-embed-v2": "uae_bench.retrieval.dense:NV_EMBED_V2",
        "colbert": "uae_bench.retrieval.late_interaction:COLBERT",
        "colbertv2": "uae_bench.retrieval.late_interaction:COLBERTV2",
        "splade": "uae_bench.retrieval.learned_sparse:SPLADE",
        "splade-v3": "uae_bench.retrieval.learned_sparse:SPLADE_V3",
        "cross-encoder": "uae_bench.retrieval.cross_encoder:CROSS_ENCODER",
        "rrf": "uae_bench.retrieval.fusion:RRF",
        "combsum": "uae_bench.retrieval.fusion:COMBSUM",
        "rankgpt": "uae_bench.retrieval.listwise:RANKGPT",
        "setwise": "uae_bench.retrieval.setwise:SETWISE",
        "pointwise": "uae_bench.retrieval.pointwise:POINTWISE",
        "upr": "uae_bench.retrieval.pointwise:UPR",
        "utility-selector": "uae_bench.retrieval.pointwise:UTILITY_SELECTOR",
        "bge-reranker": "uae_bench.retrieval.cross_encoder:BGE_RERANKER",
    },
)
