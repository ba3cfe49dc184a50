from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import bootstrap

from tests.significance.parts import alone, documents, simulated, summed, values
from uae_bench.significance import bootstrap_interval, bootstrap_intervals
from uae_bench.significance.intervals import resampled_means


def rng() -> np.random.Generator:
    return np.random.default_rng(4)


def test_without_clusters_the_interval_is_scipys_percentile_bootstrap() -> None:
    numbers = np.random.default_rng(0).random(80)
    theirs = bootstrap((numbers,), np.mean, n_resamples=10_000, method="percentile", rng=rng()).confidence_interval
    ours = bootstrap_interval(values(numbers.tolist()), alone(80), rng())
    assert [ours.low, ours.high] == pytest.approx([theirs.low, theirs.high], abs=0.004)


def test_questions_that_move_together_widen_the_interval() -> None:
    numbers = [float(index // 10 % 2) for index in range(200)]  # 20 documents of 10 equal values
    apart = bootstrap_interval(values(numbers), alone(200), rng())
    together = bootstrap_interval(values(numbers), documents([str(index // 10) for index in range(200)]), rng())
    # standard errors: .5/√200 and .5/√20, a factor of √10
    assert (together.high - together.low) / (apart.high - apart.low) == pytest.approx(math.sqrt(10), rel=0.1)


def test_a_resample_divides_by_the_queries_it_drew() -> None:
    # documents x (1 query of 1.0) and y (3 of 0.0): the resamples are xx, xy, yx, yy
    table_means = resampled_means(summed(np.array([[1.0], [0.0], [0.0], [0.0]]), np.array([0.0, 1, 1, 1])), rng(), 400)
    assert sorted(set(np.round(table_means[:, 0], 9).tolist())) == [0.0, 0.25, 1.0]


def test_the_interval_stays_within_the_measures_bounds() -> None:
    found = bootstrap_interval(values([1.0] * 29 + [0.0]), alone(30), rng())
    assert 0 <= found.low <= 29 / 30 <= found.high <= 1


def test_undefined_queries_are_left_out() -> None:
    numbers = [0.2, 0.4, 0.9, 0.3]
    assert bootstrap_interval(values([*numbers, math.nan]), alone(5), rng()) == bootstrap_interval(
        values(numbers), alone(4), rng()
    )


def test_one_document_has_no_interval() -> None:
    found = bootstrap_interval(values([0.1, 0.9]), documents("xx"), rng())
    assert math.isnan(found.low)
    assert math.isnan(found.high)


def test_a_higher_level_gives_a_wider_interval() -> None:
    numbers = values(np.linspace(0, 1, 40).tolist())
    narrow, wide = (bootstrap_interval(numbers, alone(40), rng(), level=level) for level in (0.8, 0.99))
    assert wide.low < narrow.low < narrow.high < wide.high
    assert (narrow.level, wide.level) == (0.8, 0.99)


def test_a_measures_interval_does_not_move_when_another_is_added() -> None:
    one, two = values(np.linspace(0, 1, 30).tolist()), values([0.5] * 15 + [0.1] * 15, "RR")
    assert bootstrap_intervals(one, alone(30), rng())["AP"] == bootstrap_intervals(two + one, alone(30), rng())["AP"]


def test_the_order_of_queries_does_not_matter() -> None:
    numbers = values(np.random.default_rng(1).random(40).tolist())
    clusters = documents([str(index % 9) for index in range(40)])
    assert bootstrap_interval(numbers, clusters, rng()) == bootstrap_interval(numbers[::-1], clusters, rng())


def test_nineteen_of_twenty_intervals_hold_the_truth_where_documents_are_not_few() -> None:
    # 500 experiments of true mean 0 over 60 documents of 1 to 6 questions that move together
    differences, document = simulated(rng(), 500, [1 + index % 6 for index in range(60)], between=1.0, within=1.0)
    means = resampled_means(summed(differences, document), rng(), 500)[:, :-1]
    low, high = np.quantile(means, [0.025, 0.975], axis=0)
    assert float(((low <= 0) & (high >= 0)).mean()) == pytest.approx(0.95, abs=0.035)
