"""Padded batches, against the tokenizer's own padding."""

from __future__ import annotations

import pytest
import torch
from transformers import AutoTokenizer

from tests.systems.uae.parts import toy_encoder
from uae_bench.systems.tensors import tokenised

TEXTS = ["what is the leave policy of the committee", "why", "who said that, and when"]
PAIRS = ["the committee grants thirty days", "because", "nobody"]


@pytest.mark.parametrize("pairs", [None, PAIRS], ids=["texts", "pairs"])
@pytest.mark.parametrize("side", ["left", "right"])
def test_rows_are_padded_as_their_tokenizer_pads(side: str, pairs: list[str] | None) -> None:
    tokenizer = AutoTokenizer.from_pretrained(toy_encoder(), padding_side=side, model_max_length=64)
    rows = tokenised(tokenizer, TEXTS, pairs, max_length=8)
    chosen = [2, 0, 2]
    batch = [TEXTS[row] for row in chosen]
    second = None if pairs is None else [pairs[row] for row in chosen]
    expected = tokenizer(batch, second, truncation=True, max_length=8, padding=True, return_tensors="pt")
    found = rows.gather(chosen)
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], expected[name]) for name in expected)
    assert [rows.length(row) for row in chosen] == expected["attention_mask"].sum(dim=1).tolist()
