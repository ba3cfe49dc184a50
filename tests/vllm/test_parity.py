"""transformers, vLLM in this process and vLLM's server are one model to whoever asks."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.vllm.parity import FAMILIES, SMALL, ask, compare, hear
from tests.vllm.served import Served
from uae_bench.lm.spec import parse_lm

QUERIES = 4


@pytest.mark.parametrize("family", FAMILIES)
def test_all_three_give_the_same_likelihoods_ranks_and_texts(served: Callable[[str], Served], family: str) -> None:
    server = served(family)
    asked = ask(QUERIES)
    reference = hear(f"lab:{family}", asked)
    inside = hear(f"vllm:lab:{family}", asked)
    server.wait()
    for found in (inside, hear(server.spec, asked)):
        parity = compare(reference, found, asked)
        assert parity.apart < 1e-3
        assert parity.tau >= 0.99
        assert parity.equal == QUERIES


def test_what_is_asked_does_not_depend_on_its_company(served: Callable[[str], Served]) -> None:
    """Order and batch leave a likelihood as it is, prefix caching or not."""
    server = served(FAMILIES[-1])
    server.wait()
    pairs = ask(1).pairs
    with parse_lm(server.spec).open(SMALL) as model:
        together = model.score(pairs)
        alone = [model.score([pair])[0] for pair in reversed(pairs)]
    for one, other in zip(together, reversed(alone), strict=True):
        assert one.mean == pytest.approx(other.mean, abs=1e-4)


def test_an_engine_repeats_itself_to_the_last_digit() -> None:
    """What a batch gives does not depend on the batches before it, nor on which engine it is."""
    pairs = ask(2).pairs
    found = []
    for _ in range(2):
        with parse_lm(f"vllm:lab:{FAMILIES[-1]}").open(SMALL) as model:
            found += [model.score_batch(pairs), model.score_batch(pairs)]
    assert all(each == found[0] for each in found)
