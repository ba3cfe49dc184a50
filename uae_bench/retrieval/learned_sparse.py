"""Learned sparse retrieval (SPLADE, Formal et al. 2021): a weight per word of the vocabulary, and exact products.

    score(q, d) = sum over the words w of the vocabulary:  q_w * d_w

Passages are kept as an inverted list per word, so that a query touches the passages alone that share a word with it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import Field

from uae_bench.encoder import count_truncated, encode_distinct, load_model, set_max_length
from uae_bench.encoder_source import module_types
from uae_bench.errors import BadInput
from uae_bench.records import Query, Ranking, RetrievalView, batches
from uae_bench.retrieval.component import Resources, checked_depth, preset
from uae_bench.retrieval.encoding import (
    EncodingRetriever,
    TextSettings,
    checked_folder,
    encoding_component,
    passage_prefix,
)
from uae_bench.retrieval.ranking import Candidates
from uae_bench.weights import read_json

if TYPE_CHECKING:
    from scipy.sparse import csr_array
    from sentence_transformers import SparseEncoder

SCORES = 8_000_000  # so many scores of queries with passages are held at a time


class SpladeSettings(TextSettings):
    """What is not given is as the model's own configuration has it."""

    max_length: int | None = Field(default=None, ge=4, description="tokens of a text that are read; unset: likewise")


class Splade(EncodingRetriever["csr_array[Any, Any]"]):
    """Ranks by the inner product of word weights. The model loads when the first view is prepared."""

    def __init__(self, spec: str, settings: SpladeSettings, resources: Resources) -> None:
        super().__init__()
        self.name = f"splade:{spec}"
        self.settings = settings
        self._spec = spec
        self._resources = resources

    @cached_property
    def model(self) -> SparseEncoder:
        """The loaded model."""
        folder = checked_folder(self._spec, require_sparse)
        model: SparseEncoder = load_model("SparseEncoder", folder, self._resources.device)
        if self.settings.max_length is not None:
            set_max_length(model, self._spec, self.settings.max_length)
        return model

    @property
    def passage_prefix(self) -> str:
        """What stands before a passage."""
        return passage_prefix(self.settings.passage_prefix, self.model.prompts)

    def prepare(self, view: RetrievalView) -> SpladeSearcher:
        """Encode the corpus, or the passages that some pool holds, and invert it."""
        candidates = Candidates.of(view, pooled_only=True)
        passages = self._encoded(candidates.texts)
        return SpladeSearcher(candidates, self, passages, passages.T.tocsr())

    def encode_passages(self, texts: Sequence[str]) -> csr_array[Any, Any]:
        """Word weights (C, V) in float64, of float32's precision; a blank text weighs nothing."""
        return self._encode(texts, self.model.encode_document, self.settings.passage_prefix, "passages")

    def encode_queries(self, texts: Sequence[str]) -> csr_array[Any, Any]:
        """Word weights (Q, V); otherwise as `encode_passages`."""
        return self._encode(texts, self.model.encode_query, self.settings.query_prefix, "queries")

    def _encode(self, texts: Sequence[str], encode: Any, prefix: str | None, what: str) -> csr_array[Any, Any]:
        from scipy.sparse import csr_array, vstack

        def rows(batch: list[str]) -> list[csr_array[Any, Any]]:
            dense = encode(batch, prompt=prefix, batch_size=len(batch), show_progress_bar=False, save_to_cpu=True)
            found = dense.coalesce()
            weights = found.values().numpy()
            if not np.isfinite(weights).all():
                raise BadInput(f"{self._spec} gives nan or an infinity", hint="use another: its weights are damaged")
            matrix = csr_array((weights.astype(np.float64), found.indices().numpy()), shape=tuple(dense.shape))
            return [matrix[[row]] for row in range(len(batch))]

        nothing = csr_array((1, int(self.model.get_embedding_dimension() or 0)), dtype=np.float64)
        progress = self._resources.progress
        found = encode_distinct(texts, rows, nothing, progress, f"{self.name}: encode {what}")
        return vstack(found, format="csr") if found else csr_array((0, nothing.shape[1]), dtype=np.float64)


@dataclass(frozen=True, slots=True)
class SpladeSearcher:
    """Word weights of passages in order of id: by passage (C, V), and by word (V, C)."""

    candidates: Candidates
    retriever: Splade
    passages: csr_array[Any, Any]
    inverted: csr_array[Any, Any]

    def encode(self, queries: Sequence[Query]) -> csr_array[Any, Any]:
        """Word weights (Q, V)."""
        return self.retriever.encode_queries([query.text for query in queries])

    def search(self, queries: Sequence[Query], encoded: csr_array[Any, Any], *, depth: int) -> dict[str, Ranking]:
        checked_depth(depth)
        pools, rankings = self.candidates.pools, {}
        for span in batches(len(queries), max(1, SCORES // max(1, len(self.candidates.ids)))):
            asked = encoded[list(span)]
            found = (asked @ self.inverted).toarray() if pools is None else None
            for place, query in enumerate(queries[span.start : span.stop]):
                if found is not None:
                    scores = found[place]
                else:
                    own = self.passages[(pools or {})[query.id]]
                    scores = (own @ asked[[place]].T).toarray()[:, 0]
                rankings[query.id] = self.candidates.best(query, scores.astype(np.float32), depth)
        return rankings

    def facts(self, encoded: csr_array[Any, Any], *, depth: int) -> Mapping[str, float]:
        """Passages encoded and truncated, and how many words weigh something in a text on average."""
        splade, texts = self.retriever, self.candidates.texts
        longest = splade.model.max_seq_length
        truncated = count_truncated(splade.model.tokenizer, texts, splade.passage_prefix, longest)
        return {
            "passages": len(texts),
            "passages_truncated": truncated,
            "words_per_passage": self.passages.nnz / max(1, self.passages.shape[0]),
            "words_per_query": encoded.nnz / max(1, encoded.shape[0]),
        }


def require_sparse(folder: Path) -> None:
    """Nothing where a folder holds a learned sparse model: to others a part would be added that is drawn by lot.

    Raises:
        BadInput: it holds another.
    """
    types, architectures = module_types(folder), read_json(folder / "config.json").get("architectures")
    masked = isinstance(architectures, list) and any(str(name).endswith("ForMaskedLM") for name in architectures)
    if not (any(".sparse_encoder." in kind for kind in types) or (masked and not types)):
        raise BadInput(
            f"{folder} holds no learned sparse model: it neither predicts masked words nor says how it weighs words",
            hint="a bi-encoder is dense:NAME; a SPLADE model fits here",
        )


SPLADE = encoding_component(
    Splade, SpladeSettings, require_sparse, version=1, argument="a learned sparse model's name or folder"
)
SPLADE_V3 = preset(SPLADE, "splade", "splade-v3", "naver/splade-v3")
