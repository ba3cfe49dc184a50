from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.metrics.parts import wrote
from uae_bench.errors import BadInput
from uae_bench.metrics import Latency, Usage, latency, latency_by_stage, throughput, usage


def test_percentiles_are_times_that_were_measured() -> None:
    samples = [number / 1000 for number in range(100, 0, -1)]  # 1 to 100 ms, unsorted
    assert latency(samples) == Latency(p50=0.050, p95=0.095, p99=0.099, n=100)


def test_of_few_samples_the_slowest_is_p99() -> None:
    assert latency([0.2, 0.1]) == Latency(p50=0.1, p95=0.2, p99=0.2, n=2)


@given(st.lists(st.floats(0, 1e3), min_size=1))
def test_percentiles_are_ordered_and_among_the_samples(samples: list[float]) -> None:
    found = latency(samples)
    assert found.p50 <= found.p95 <= found.p99
    assert {found.p50, found.p95, found.p99} <= set(samples)


def test_the_total_is_each_querys_sum_and_not_a_sum_of_percentiles() -> None:
    # encode is slow for one query and search for the other: no query takes 0.9 + 0.9
    found = latency_by_stage({"encode": [0.9, 0.1], "search": [0.1, 0.9]})
    assert list(found) == ["encode", "search", "total"]
    assert [found["encode"].p99, found["total"].p99] == pytest.approx([0.9, 1.0])


@pytest.mark.parametrize("samples", [[], [-0.1], [math.nan], [math.inf]])
def test_times_that_cannot_be_are_refused(samples: list[float]) -> None:
    with pytest.raises(BadInput):
        latency(samples)


def test_stages_timed_over_different_queries_cannot_be_added_up() -> None:
    with pytest.raises(BadInput, match="'encode': 1, 'search': 2"):
        latency_by_stage({"encode": [0.1], "search": [0.1, 0.2]})


def test_throughput_is_queries_per_second() -> None:
    assert throughput(50, 0.25) == 200.0
    with pytest.raises(BadInput):
        throughput(50, 0.0)


def test_usage_adds_up_calls_and_tokens() -> None:
    assert usage([wrote("q", "x"), wrote("r", "y")]) == Usage(2, 20, 4, 0)
    assert Usage(1, 2, 3, 4) + Usage(10, 20, 30, 40) == Usage(11, 22, 33, 44)
