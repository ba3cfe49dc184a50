from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import t

from tests.significance.parts import against_last, alone, documents, simulated, summed, values
from uae_bench.significance import smallest_detectable_difference
from uae_bench.significance.paired import flip_p_values
from uae_bench.significance.power import standard_error


def test_without_clusters_the_standard_error_is_the_textbooks() -> None:
    numbers = np.random.default_rng(0).random(50)
    table = summed(numbers[:, None], np.arange(50.0))
    assert standard_error(table, 0, 1) == pytest.approx(numbers.std(ddof=1) / math.sqrt(50))


def test_ten_copies_of_every_question_detect_no_smaller_difference() -> None:
    numbers = np.random.default_rng(0).random(40).tolist()
    once = {"a": values(numbers), "b": values([0.5] * 40)}
    tenfold = {"a": values([n for n in numbers for _ in range(10)]), "b": values([0.5] * 400)}
    copies = documents([str(index // 10) for index in range(400)])
    found = smallest_detectable_difference(tenfold, copies)
    assert found == pytest.approx(smallest_detectable_difference(once, alone(40)))


def test_more_power_or_a_stricter_level_needs_a_larger_difference() -> None:
    systems = {"a": values(np.linspace(0, 1, 40).tolist()), "b": values([0.5] * 40)}
    plain, strict, sure = (
        smallest_detectable_difference(systems, alone(40), **asked) for asked in ({}, {"alpha": 0.005}, {"power": 0.95})
    )
    assert plain < strict
    assert plain < sure


def test_one_system_or_one_document_detects_nothing() -> None:
    assert math.isnan(smallest_detectable_difference({"a": values([1, 2])}, alone(2)))
    assert math.isnan(smallest_detectable_difference({"a": values([1, 2]), "b": values([0, 1])}, documents("xx")))


def test_the_test_finds_the_smallest_detectable_difference_four_times_in_five() -> None:
    # spread of a mean over 40 documents of 5: √(1 + 1/5)/√40, so the difference is (2.02 + .85) times that
    rng = np.random.default_rng(3)
    difference = (t.ppf(0.975, 39) + t.ppf(0.8, 39)) * math.sqrt(1.2 / 40)
    differences, document = simulated(rng, 1000, [5] * 40, between=1.0, within=1.0, mean=difference)
    table = summed(differences, document)
    assert float((flip_p_values(table, against_last(table), rng, 499) <= 0.05).mean()) == pytest.approx(0.8, abs=0.04)
    one = {"a": values(differences[:, 0].tolist()), "b": values([0.0] * 200)}
    named = documents([str(int(name)) for name in document])
    assert smallest_detectable_difference(one, named) == pytest.approx(difference, rel=0.35)
