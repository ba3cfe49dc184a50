from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.metrics.parts import wrote
from uae_bench.errors import BadInput
from uae_bench.metrics import Latency, Usage, break_even, latency, latency_by_stage, throughput, usage


def test_percentiles_are_times_that_were_measured() -> None:
    samples = [number / 1000 for number in range(100, 0, -1)]  # 1 to 100 ms, unsorted
    assert latency(samples) == Latency(mean=sum(samples) / 100, p50=0.050, p95=0.095, p99=0.099, n=100)
    assert latency(samples).mean == pytest.approx(0.0505)


def test_of_few_samples_the_slowest_is_p99() -> None:
    assert latency([0.2, 0.1]) == Latency(mean=(0.2 + 0.1) / 2, p50=0.1, p95=0.2, p99=0.2, n=2)


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


@pytest.mark.parametrize(
    ("once", "own", "other", "queries"),
    [
        (100.0, 0.5, 1.5, 100),  # each query saves 1 s
        (100.0, 0.002, 0.052, 2000),
        (100.5, 0.5, 1.5, 101),  # 100 queries save 100 s, half a second too little
        (2_557_382, 0, 12_000, 214),  # tokens: 213 queries take 2,556,000
        (0, 0.5, 1.5, 0),
        (0, 1.5, 1.5, 0),  # nothing was spent, nothing has to be saved
        (100.0, 1.5, 1.5, None),
        (0, 1.5, 0.5, None),  # without a cost beforehand it is behind from the first query on
        (100.0, 1.5, 0.5, None),
    ],
)
def test_what_was_spent_once_has_paid_when_queries_have_saved_as_much(
    once: float, own: float, other: float, queries: int | None
) -> None:
    assert break_even(once, own, other) == queries


@given(st.integers(0, 10**6), st.integers(0, 1000), st.integers(0, 1000))
def test_it_has_paid_at_that_query_and_not_before(once: int, own: int, other: int) -> None:
    queries = break_even(once, own, other)
    if queries is None:
        assert own >= other
    else:
        assert once + queries * own <= queries * other
        assert queries == 0 or once + (queries - 1) * own > (queries - 1) * other


@pytest.mark.parametrize("costs", [(-1, 0, 1), (1, math.nan, 1), (1, 0, math.inf)])
def test_a_cost_that_cannot_be_pays_for_nothing(costs: tuple[float, float, float]) -> None:
    with pytest.raises(BadInput):
        break_even(*costs)
