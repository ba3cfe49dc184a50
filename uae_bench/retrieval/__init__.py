"""First stages and rerankers by name: `RETRIEVERS["bm25"]` is a `Component`, imported when it is wanted."""

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
        "minilm": "uae_bench.retrieval.dense:MINILM",
        "cross-encoder": "uae_bench.retrieval.cross_encoder:CROSS_ENCODER",
        "rankgpt": "uae_bench.retrieval.listwise:RANKGPT",
        "setwise": "uae_bench.retrieval.setwise:SETWISE",
        "pointwise": "uae_bench.retrieval.pointwise:POINTWISE",
        "upr": "uae_bench.retrieval.pointwise:UPR",
        "utility-selector": "uae_bench.retrieval.pointwise:UTILITY_SELECTOR",
    },
)
