"""Late interaction (ColBERT, Khattab and Zaharia 2020): a vector per token, and exact MaxSim over a corpus or pools.

    score(q, d) = sum over the token vectors i of q:  max over the token vectors j of d:  <q_i, d_j>

Nothing is pruned, compressed or approximated. Token vectors are kept in float32 (a passage of 150 tokens with 128
dimensions takes 77 kB); scoring looks at so many of them at a time.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import DTypeLike, NDArray
from pydantic import Field

from uae_bench.encoder import count_truncated, encode_distinct, load_model, require_positions
from uae_bench.encoder_source import module_types
from uae_bench.errors import BadInput
from uae_bench.records import Query, Ranking, RetrievalView
from uae_bench.retrieval.component import Resources, checked_depth, preset
from uae_bench.retrieval.encoding import (
    EncodingRetriever,
    TextSettings,
    checked_folder,
    encoding_component,
    passage_prefix,
)
from uae_bench.retrieval.ranking import Candidates, Rows, top_rows
from uae_bench.weights import read_json

if TYPE_CHECKING:
    from sentence_transformers import MultiVectorEncoder

Vectors = NDArray[np.float32]
BLOCK = 16_384  # passage vectors scored at a time: with 32 query vectors 4 MB in float64
_ROUNDING = 1e-5  # more than float32 inner products of unit vectors differ from exact ones


class ColbertSettings(TextSettings):
    """What is not given is as the model's own configuration has it."""

    max_length: int | None = Field(default=None, ge=4, description="tokens of a passage that are read; unset: likewise")


@dataclass(frozen=True, slots=True)
class TokenVectors:
    """The vectors of all tokens (T, D) and where each passage's begin, T last (N + 1); no passage has none."""

    vectors: Vectors
    starts: Rows

    @classmethod
    def of(cls, passages: Sequence[Vectors], dimension: int) -> TokenVectors:
        """Passages given one by one, possibly none."""
        vectors = np.concatenate([np.zeros((0, dimension), dtype=np.float32), *passages])
        return cls(vectors, np.cumsum([0, *map(len, passages)], dtype=np.intp))

    def __len__(self) -> int:
        return len(self.starts) - 1

    def __getitem__(self, rows: Rows) -> TokenVectors:
        if len(rows) == len(self) and np.array_equal(rows, np.arange(len(self))):
            return self  # a whole corpus is not copied
        own = [self.vectors[self.starts[row] : self.starts[row + 1]] for row in rows]
        return TokenVectors.of(own, self.vectors.shape[1])

    def blocks(self) -> Iterator[tuple[int, int]]:
        """Ranges of passages that cover all, of about `BLOCK` vectors and at least one passage."""
        edges = np.searchsorted(self.starts, np.arange(0, self.starts[-1] + BLOCK, BLOCK), side="left")
        yield from pairwise(np.unique(np.clip(edges, 0, len(self))).tolist())


def max_sim(passages: TokenVectors, query: Vectors, dtype: DTypeLike = np.float64) -> NDArray[np.float64]:
    """MaxSim of a query's token vectors (L, D) with every passage (N,), inner products taken in `dtype`.

    0 for a query without vectors.
    """
    scores = np.zeros(len(passages))
    if not len(query):
        return scores
    asked = query.T.astype(dtype)
    for first, last in passages.blocks():
        begin, end = passages.starts[first], passages.starts[last]
        products = passages.vectors[begin:end].astype(dtype, copy=False) @ asked  # (tokens, L)
        best = np.maximum.reduceat(products, passages.starts[first:last] - begin, axis=0)  # (passages, L)
        scores[first:last] = best.sum(axis=1, dtype=np.float64)
    return scores


def nearest_passages(passages: TokenVectors, query: Vectors, depth: int) -> tuple[Rows, Vectors]:
    """The `depth` rows of greatest MaxSim and their scores, best first; of equal scores the smaller row is first.

    Products in float32 find what may be among the best, products in float64 order it: exact, whatever the block.
    """
    count = min(checked_depth(depth), len(passages))
    rough = max_sim(passages, query, np.float32)
    lengths = [float(np.linalg.norm(each, axis=1).max(initial=0.0)) for each in (passages.vectors, query)]
    margin = 2 * _ROUNDING * max(1, len(query)) * lengths[0] * lengths[1]
    rows = np.flatnonzero(rough >= np.partition(rough, len(rough) - count)[len(rough) - count] - margin)
    scores = max_sim(passages[rows], query).astype(np.float32)
    top = top_rows(scores, count)
    return rows[top], scores[top]


class Colbert(EncodingRetriever[TokenVectors]):
    """Ranks by MaxSim. The model loads when the first view is prepared."""

    def __init__(self, spec: str, settings: ColbertSettings, resources: Resources) -> None:
        super().__init__()
        self.name = f"colbert:{spec}"
        self.settings = settings
        self._spec = spec
        self._resources = resources

    @cached_property
    def model(self) -> MultiVectorEncoder:
        """The loaded model."""
        folder = checked_folder(self._spec, require_late_interaction)
        model: MultiVectorEncoder = load_model("MultiVectorEncoder", folder, self._resources.device)
        if self.settings.max_length is not None:
            require_positions(model, self._spec, self.settings.max_length)
            reader: Any = model[0]
            reader.document_length = self.settings.max_length
        return model

    @cached_property
    def dimension(self) -> int:
        """D, the length of a token's vector."""
        return int(self.model.encode_query("a", **_AS_NUMPY).shape[1])

    @property
    def passage_prefix(self) -> str:
        """What stands before a passage."""
        return passage_prefix(self.settings.passage_prefix, self.model.prompts)

    @property
    def max_length(self) -> int | None:
        """How many tokens of a passage are read, prefix and special tokens included."""
        reader: Any = self.model[0]
        length = reader.document_length or reader.max_seq_length
        return None if length is None else int(length)

    def prepare(self, view: RetrievalView) -> ColbertSearcher:
        """Encode the corpus, or the passages that some pool holds."""
        candidates = Candidates.of(view, pooled_only=True)
        return ColbertSearcher(candidates, self, self._encoded(candidates.texts))

    def encode_passages(self, texts: Sequence[str]) -> TokenVectors:
        """A passage without a token of its own, and a blank one, is one zero vector: like nothing."""

        def encode(batch: list[str]) -> list[Vectors]:
            prompt = self.settings.passage_prefix
            return self._checked(self.model.encode_document(batch, prompt=prompt, **_AS_NUMPY))

        nothing = np.zeros((1, self.dimension), dtype=np.float32)
        rows = encode_distinct(texts, encode, nothing, self._resources.progress, f"{self.name}: encode passages")
        return TokenVectors.of([row if len(row) else nothing for row in rows], self.dimension)

    def encode_queries(self, texts: Sequence[str]) -> list[Vectors]:
        """Token vectors of each query; none for a blank one."""

        def encode(batch: list[str]) -> list[Vectors]:
            return self._checked(self.model.encode_query(batch, prompt=self.settings.query_prefix, **_AS_NUMPY))

        nothing = np.zeros((0, self.dimension), dtype=np.float32)
        progress = self._resources.progress
        return encode_distinct(texts, encode, nothing, progress, f"{self.name}: encode queries")

    def _checked(self, encoded: Sequence[Vectors]) -> list[Vectors]:
        if not all(np.isfinite(vectors).all() for vectors in encoded):
            raise BadInput(f"{self._spec} gives nan or an infinity", hint="use another: its weights are damaged")
        return [vectors.astype(np.float32, copy=False) for vectors in encoded]


@dataclass(frozen=True, slots=True)
class ColbertSearcher:
    """Encoded passages, in order of id."""

    candidates: Candidates
    retriever: Colbert
    passages: TokenVectors

    def encode(self, queries: Sequence[Query]) -> list[Vectors]:
        """The token vectors (L, D) of each query."""
        return self.retriever.encode_queries([query.text for query in queries])

    def search(self, queries: Sequence[Query], encoded: Sequence[Vectors], *, depth: int) -> dict[str, Ranking]:
        checked_depth(depth)
        pools, rankings = self.candidates.pools, {}
        for query, vectors in zip(queries, encoded, strict=True):
            if pools is None:
                rankings[query.id] = self.candidates.ranking(*nearest_passages(self.passages, vectors, depth))
            else:
                scores = max_sim(self.passages[pools[query.id]], vectors).astype(np.float32)
                rankings[query.id] = self.candidates.best(query, scores, depth)
        return rankings

    def facts(self, encoded: Sequence[Vectors], *, depth: int) -> Mapping[str, float]:
        """Passages encoded and truncated, and the token vectors that are kept of them."""
        colbert, texts = self.retriever, self.candidates.texts
        truncated = count_truncated(colbert.model.tokenizer, texts, colbert.passage_prefix, colbert.max_length)
        return {
            "passages": len(self.candidates.ids),
            "passages_truncated": truncated,
            "token_vectors": len(self.passages.vectors),
        }


_AS_NUMPY: Mapping[str, Any] = {"convert_to_numpy": True, "show_progress_bar": False, "normalize_embeddings": False}


def require_late_interaction(folder: Path) -> None:
    """Nothing where a folder holds a late-interaction model: for others a projection would be drawn by lot.

    Raises:
        BadInput: it holds another.
    """
    config, own = (read_json(folder / name) for name in ("config.json", "config_sentence_transformers.json"))
    architectures = config.get("architectures")
    stanford = isinstance(architectures, list) and "HF_ColBERT" in architectures
    marked = own.get("model_type") in ("MultiVectorEncoder", "ColBERT") or "query_prefix" in own
    if not (stanford or (marked and module_types(folder))):
        raise BadInput(
            f"{folder} holds no late-interaction model: it does not say how tokens become vectors",
            hint="a bi-encoder is dense:NAME; a ColBERT of Stanford, PyLate or sentence-transformers fits here",
        )


COLBERT = encoding_component(
    Colbert, ColbertSettings, require_late_interaction, version=1, argument="a late-interaction model's name or folder"
)
COLBERTV2 = preset(COLBERT, "colbert", "colbertv2", "colbert-ir/colbertv2.0")
