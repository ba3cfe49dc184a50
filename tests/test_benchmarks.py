"""The steps of benchmarks that need a machine of their own, on shapes that any machine can hold."""

from __future__ import annotations

import importlib
from pathlib import Path
from types import ModuleType

import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture
def latency_gpu(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module("latency_gpu")


def test_rankgpt_over_50_candidates_takes_four_calls_that_write_whole_permutations(latency_gpu: ModuleType) -> None:
    # 20 passages of 100 words at 1.3 tokens and 5 around each, 16 of the query, 120 of the instruction
    read = 120 + 16 + 20 * (130 + 5)
    assert latency_gpu.prompt_tokens(50, [30, 20, 10, 0], 20) == [(read, 80)] * 4
    assert latency_gpu.prompt_tokens(15, [0], 20) == [(120 + 16 + 15 * 135, 60)]


def test_both_are_timed_on_every_query_and_warming_up_does_not_count(latency_gpu: ModuleType) -> None:
    seconds = latency_gpu.measure(latency_gpu.TINY, "cpu", 2, 6, [(40, 8), (30, 4)])
    assert {name: list(stages) for name, stages in seconds.items()} == {
        "bi-encoder": ["encode", "search"],
        "RankGPT": ["call 1", "call 2"],
    }
    assert {len(own) for stages in seconds.values() for own in stages.values()} == {2}
