"""What the trainers are fed: texts tokenised once (or encoded once), gathered into batches."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from uae_bench.encoder import BiEncoder
from uae_bench.records import batches

Features = dict[str, Any]


class Rows(Protocol):
    """Model inputs by row number."""

    def gather(self, rows: Sequence[int]) -> Features:
        """The rows as one padded batch of model inputs."""
        ...

    def length(self, row: int) -> int:
        """Tokens of a row: rows of like length share a batch."""
        ...


@dataclass(frozen=True, slots=True)
class TokenRows:
    """Tokenised texts: by name of model input, one token-long tensor per row, and what fills up the shorter ones.

    The tokenizer's own `pad` goes through Python lists: it took an eighth of a training on the lab.
    """

    inputs: Mapping[str, Sequence[Tensor]]
    fill: Mapping[str, int]
    side: str

    def gather(self, rows: Sequence[int]) -> Features:
        return {
            name: pad_sequence(
                [values[row] for row in rows], batch_first=True, padding_value=self.fill[name], padding_side=self.side
            )
            for name, values in self.inputs.items()
        }

    def length(self, row: int) -> int:
        return len(self.inputs["input_ids"][row])


@dataclass(frozen=True, slots=True)
class VectorRows:
    """Embeddings by a frozen encoder, (rows, D)."""

    vectors: Tensor

    def gather(self, rows: Sequence[int]) -> Features:
        return {"sentence_embedding": self.vectors[list(rows)]}

    def length(self, row: int) -> int:
        return 1


@dataclass(frozen=True, slots=True)
class Inputs:
    """Queries and passages as rows of model inputs, and the row of each id (passages and queries are told apart)."""

    rows: Rows
    query: Mapping[str, int]
    passage: Mapping[str, int]


def tokenised(tokenizer: Any, texts: Sequence[str], pairs: Sequence[str] | None, max_length: int) -> TokenRows:
    """Texts, or texts with their second halves, as token rows; of a pair that is too long the longer half is cut."""
    encoded = tokenizer(list(texts), list(pairs) if pairs is not None else None, truncation=True, max_length=max_length)
    fill = {"input_ids": tokenizer.pad_token_id, "token_type_ids": tokenizer.pad_token_type_id}
    names = [name for name in tokenizer.model_input_names if name in encoded]
    inputs = {name: [torch.tensor(row, dtype=torch.long) for row in encoded[name]] for name in names}
    return TokenRows(inputs, {name: fill.get(name, 0) for name in inputs}, tokenizer.padding_side)


def token_inputs(
    encoder: BiEncoder, queries: Mapping[str, str], passages: Mapping[str, str], max_length: int
) -> Inputs:
    """Texts by id, each tokenised once with its role's prefix and cut at `max_length` or the encoder's own limit."""
    texts = [encoder.query_prefix + text for text in queries.values()]
    texts += [encoder.passage_prefix + text for text in passages.values()]
    length = min(max_length, encoder.max_length or max_length)
    return Inputs(tokenised(encoder.model.tokenizer, texts, None, length), *numbered(queries, passages))


def numbered(queries: Mapping[str, str], passages: Mapping[str, str]) -> tuple[dict[str, int], dict[str, int]]:
    """The row of each query and of each passage: queries first."""
    return (
        {query: row for row, query in enumerate(queries)},
        {passage: len(queries) + row for row, passage in enumerate(passages)},
    )


def by_length(rows: Rows, wanted: Sequence[int], size: int) -> Iterator[list[int]]:
    """The wanted rows in batches of like length, longest first (what does not fit in memory fails at once)."""
    order = sorted(wanted, key=lambda row: (-rows.length(row), row))
    for block in batches(len(order), size):
        yield [order[position] for position in block]


def padded(lists: Sequence[Sequence[float]], dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Ragged rows as a zero-padded (B, K) tensor and its members (B, K), bool."""
    width = max(len(values) for values in lists)
    table = np.zeros((len(lists), width))
    members = np.zeros((len(lists), width), dtype=bool)
    for row, values in enumerate(lists):
        table[row, : len(values)] = values
        members[row, : len(values)] = True
    return torch.from_numpy(table).to(dtype), torch.from_numpy(members)
