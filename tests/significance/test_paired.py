from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import permutation_test

from tests.significance.parts import against_last, alone, compared, documents, simulated, summed, values
from uae_bench.records import Value
from uae_bench.significance.paired import EXACT_CLUSTERS, PERMUTATIONS, flip_p_values


def test_six_documents_all_in_favour_reach_two_of_sixty_four() -> None:
    # of the 2^6 flips only "none" and "all" are as far from 0 as the data
    result = compared(values([1] * 6), values([0] * 6), alone(6), np.random.default_rng(0))
    assert (result.difference, result.p) == (1.0, 2 / 64)


def test_queries_of_one_document_flip_together() -> None:
    # 12 queries in 6 documents: as many flips as 6 queries would have, not 2^12
    result = compared(values([1] * 12), values([0] * 12), documents("aabbccddeeff"), np.random.default_rng(0))
    assert (result.p, result.documents, result.queries) == (2 / 64, 6, 12)


def test_ties_count_as_extreme_although_floats_add_up_differently() -> None:
    # |±.1 ±.2 ±.3 ±.1 ±.2 ±.3| ≥ |.1+.2−.3+.1+.2−.3| = 0: every flip is
    a, b = values([0.1, 0.2, 0, 0.1, 0.2, 0]), values([0, 0, 0.3, 0, 0, 0.3])
    assert compared(a, b, alone(6), np.random.default_rng(0)).p == 1.0


def test_the_statistic_is_the_mean_over_queries_so_large_documents_weigh_more() -> None:
    # sums per document: 3 and five times −0.5; Σ = 0.5, mean 0.5/8
    result = compared(values([1, 1, 1, 0, 0, 0, 0, 0]), values([0] * 3 + [0.5] * 5), documents("aaabcdef"), _rng())
    assert result.difference == pytest.approx(0.5 / 8)
    sums = np.array([3, -0.5, -0.5, -0.5, -0.5, -0.5])
    flips = [abs(float(np.dot(signs, sums))) for signs in itertools.product([1, -1], repeat=6)]
    assert result.p == sum(flip >= 0.5 - 1e-9 for flip in flips) / 64


def _rng() -> np.random.Generator:
    return np.random.default_rng(7)


def test_unclustered_exact_p_is_scipys() -> None:
    rng = np.random.default_rng(1)
    a, b = rng.random(12), rng.random(12)
    theirs = permutation_test(
        (a, b), lambda x, y: np.mean(x - y), permutation_type="samples", n_resamples=2**12, vectorized=False
    )
    ours = compared(values(a.tolist()), values(b.tolist()), alone(12), rng)
    assert ours.p == pytest.approx(theirs.pvalue)


def test_drawn_flips_come_close_to_all_flips_and_never_give_zero() -> None:
    rng = np.random.default_rng(2)
    a, b = rng.random(18), rng.random(18)
    all_flips = np.array(list(itertools.product([1, -1], repeat=18))) @ (a - b)
    exact = np.mean(np.abs(all_flips) >= abs((a - b).sum()) - 1e-12)
    drawn = compared(values(a.tolist()), values(b.tolist()), alone(18), rng)
    assert EXACT_CLUSTERS < 18
    assert drawn.p == pytest.approx(exact, abs=4 * math.sqrt(exact * (1 - exact) / PERMUTATIONS))
    certain = compared(values([1] * 40), values([0] * 40), alone(40), rng, permutations=99)
    assert certain.p == 1 / 100


def test_the_same_seed_gives_the_same_p() -> None:
    a, b = values(np.linspace(0, 1, 30).tolist()), values([0.4] * 30)
    first, again = (compared(a, b, alone(30), np.random.default_rng(3)).p for _ in range(2))
    assert first == again


def test_systems_that_do_not_differ_have_p_one() -> None:
    same = values([0.1, 0.7, 0.2, 0.9, 0.5, 0.3] * 4)
    assert compared(same, same, alone(24), _rng()).p == 1.0


def test_too_few_documents_allow_no_test_and_say_so() -> None:
    result = compared(values([1] * 50), values([0] * 50), documents("abcde" * 10), _rng())
    assert math.isnan(result.p)
    assert result.why == "no test: with 5 documents no p-value can fall below 0.0625"
    assert result.difference == 1.0


def test_undefined_queries_are_left_out() -> None:
    a, b = [1.0] * 6 + [math.nan], [0.0] * 6 + [math.nan]
    result = compared(values(a), values(b), alone(7), _rng())
    assert (result.queries, result.documents, result.p) == (6, 6, 2 / 64)


@settings(max_examples=50)
@given(
    st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5), st.sampled_from("abcdefgh")), min_size=8, max_size=16),
    st.randoms(use_true_random=False),
)
def test_p_depends_neither_on_the_order_of_queries_nor_on_which_system_comes_first(
    rows: list[tuple[int, int, str]], random: object
) -> None:
    a, b = values([row[0] for row in rows]), values([row[1] for row in rows])
    clusters = documents([row[2] for row in rows])
    forward = compared(a, b, clusters, _rng())
    shuffled: list[Value] = a[:]
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    backward = compared(b, shuffled, clusters, _rng())
    assert backward.difference == pytest.approx(-forward.difference)
    assert backward.p == forward.p or (math.isnan(backward.p) and math.isnan(forward.p))
    assert math.isnan(forward.p) or 0 < forward.p <= 1


def test_under_the_null_the_clustered_test_keeps_its_level_and_the_unclustered_one_does_not() -> None:
    # 2,000 experiments without any true difference: 30 documents of 1 to 15 questions that move together
    rng = np.random.default_rng(11)
    sizes = [1 + index % 15 for index in range(30)]
    differences, document = simulated(rng, 2000, sizes, between=1.0, within=1.0)
    clustered = summed(differences, document)
    unclustered = summed(differences, np.arange(len(document), dtype=np.float64))
    rejected = [
        float((flip_p_values(table, against_last(table), rng, 499) <= 0.05).mean())
        for table in (clustered, unclustered)
    ]
    assert rejected[0] == pytest.approx(0.05, abs=3 * math.sqrt(0.05 * 0.95 / 2000))
    assert rejected[1] > 0.3
