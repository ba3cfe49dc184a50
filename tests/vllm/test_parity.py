"""transformers, vLLM in this process and vLLM's server are one model to whoever asks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.stats import kendalltau

from tests.vllm.conftest import Served
from uae_bench.lm.base import LanguageModel, Pair, Sampling
from uae_bench.lm.resources import LmResources
from uae_bench.lm.spec import parse_lm
from uae_bench.pipeline import read
from uae_bench.prompts import PLAIN, continuation
from uae_bench.records import Likelihood

SMALL = LmResources(cache_gib=0.5)
QUERIES = 4
WRITING = Sampling(max_tokens=16)


def asked() -> dict[str, list[Pair]]:
    """Per query of the lab its first answer after each passage of its document."""
    task = read("lab")
    queries = [query for query in task.asked("test") if task.answerable(query.id)][:QUERIES]
    return {
        query.id: [
            (PLAIN.answering(query.text, [task.passages[passage]]), continuation(task.answerable(query.id)[0].text))
            for passage in task.documents[query.document_id or ""]
        ]
        for query in queries
    }


def alike(reference: list[Likelihood], found: list[Likelihood], sizes: list[int]) -> tuple[float, float]:
    """The largest difference in nats per token, and the mean rank correlation (tau) of a query's passages."""
    assert [one.tokens for one in found] == [one.tokens for one in reference]
    apart = max(abs(one.mean - other.mean) for one, other in zip(found, reference, strict=True))
    taus, start = [], 0
    for size in sizes:
        rows = ([one.mean for one in whole[start : start + size]] for whole in (reference, found))
        taus.append(float(kendalltau(*rows)[0]))
        start += size
    return apart, float(np.mean(taus))


def test_all_three_give_the_same_likelihoods_ranks_and_texts(served: Served, tmp_path: Path) -> None:
    per_query = asked()
    pairs = [pair for row in per_query.values() for pair in row]
    sizes = [len(row) for row in per_query.values()]
    prompts = [row[0][0] for row in per_query.values()]

    def heard(model: LanguageModel) -> tuple[list[Likelihood], list[str]]:
        return model.score(pairs), [one.text for one in model.generate(prompts, WRITING)]

    with parse_lm(f"lab:{served.family}").open() as model:
        reference, texts = heard(model)
    for spec in (f"vllm:lab:{served.family}", served.spec):
        with parse_lm(spec).open(SMALL) as model:
            found, written = heard(model)
        apart, tau = alike(reference, found, sizes)
        assert apart < 1e-3
        assert tau >= 0.99
        assert written == texts


def test_what_is_asked_does_not_depend_on_its_company(served: Served) -> None:
    """Order and batch leave a likelihood as it is, prefix caching or not."""
    pairs = next(iter(asked().values()))
    with parse_lm(served.spec).open(SMALL) as model:
        together = model.score(pairs)
        alone = [model.score([pair])[0] for pair in reversed(pairs)]
    for one, other in zip(together, reversed(alone), strict=True):
        assert one.mean == pytest.approx(other.mean, abs=1e-4)
