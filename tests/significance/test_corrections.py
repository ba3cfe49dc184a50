from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.significance.parts import simulated, summed
from uae_bench.significance import holm, max_t
from uae_bench.significance.clusters import ClusterSums


def test_holm_multiplies_the_least_by_the_number_of_tests_and_the_next_by_one_less() -> None:
    # sorted .01, .02, .04: 3 × .01, 2 × .02, 1 × .04
    assert holm([0.04, 0.01, 0.02]) == pytest.approx([0.04, 0.03, 0.04])


def test_holm_keeps_the_order_and_stops_at_one() -> None:
    # 3 × .3 = .9; 2 × .4 = .8 is raised to .9; 1 × .6 too
    assert holm([0.3, 0.4, 0.6]) == pytest.approx([0.9, 0.9, 0.9])
    assert holm([0.5, 0.9]) == [1.0, 1.0]


def test_what_was_not_tested_is_not_counted() -> None:
    adjusted = holm([math.nan, 0.01, 0.02])
    assert math.isnan(adjusted[0])
    assert adjusted[1:] == pytest.approx([0.02, 0.02])
    assert holm([]) == []


@given(st.lists(st.floats(0, 1), min_size=1, max_size=20), st.randoms(use_true_random=False))
def test_holm_lies_between_the_raw_p_and_bonferroni_whatever_the_order(ps: list[float], random: object) -> None:
    adjusted = holm(ps)
    assert all(p <= a <= min(1, p * len(ps)) + 1e-12 for p, a in zip(ps, adjusted, strict=True))
    order = list(range(len(ps)))
    random.shuffle(order)  # type: ignore[attr-defined]
    assert holm([ps[index] for index in order]) == [adjusted[index] for index in order]


def table_of(columns: list[list[float]]) -> ClusterSums:
    sums = np.array(columns, dtype=np.float64).T
    return ClusterSums(tuple("abcdefgh"[: sums.shape[1]]), sums, np.ones(len(sums)))


def test_tests_that_are_one_and_the_same_cost_nothing_under_max_t() -> None:
    # b and c both beat a in all six documents by the same: Holm would double 2/64
    adjusted = max_t(table_of([[0.0] * 6, [1.0] * 6, [1.0] * 6]), [(1, 0), (2, 0)], np.random.default_rng(0), 0)
    assert adjusted.tolist() == [2 / 64, 2 / 64]


def test_max_t_is_the_step_down_procedure_written_out() -> None:
    rng = np.random.default_rng(5)
    columns = [[0.0] * 8, *(rng.normal(shift, 1, 8).tolist() for shift in (1.0, 0.7, 0.0))]
    pairs = [(1, 0), (2, 0), (3, 0)]
    d = np.array(columns[1:])  # (3, 8), each scaled to unit length
    d /= np.linalg.norm(d, axis=1, keepdims=True)
    observed = np.abs(d.sum(axis=1))
    order = sorted(range(3), key=lambda index: -observed[index])
    expected, floor = {}, 0.0
    for step, index in enumerate(order):
        rest = order[step:]
        greatest = [max(abs(d[other] @ np.array(s)) for other in rest) for s in itertools.product([1, -1], repeat=8)]
        floor = max(floor, float(np.mean([value >= observed[index] - 1e-9 for value in greatest])))
        expected[index] = floor
    assert max_t(table_of(columns), pairs, rng, 0) == pytest.approx([expected[index] for index in range(3)])


def test_a_pair_that_differs_nowhere_is_never_significant() -> None:
    adjusted = max_t(table_of([[0.3] * 6, [0.3] * 6, [1.3] * 6]), [(1, 0), (2, 0)], np.random.default_rng(0), 0)
    assert adjusted.tolist() == [1.0, 2 / 64]


def test_max_t_keeps_the_family_wise_level() -> None:
    # 300 families of 4 systems that are all alike: at most 5 % of the families may hold a finding
    rng = np.random.default_rng(8)
    false = 0
    for _ in range(300):
        differences, document = simulated(rng, 4, [4] * 20, between=1.0, within=1.0)
        table = summed(differences, document)
        false += bool(max_t(table, list(itertools.combinations(range(5), 2)), rng, 199).min() <= 0.05)
    assert false / 300 <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / 300)
