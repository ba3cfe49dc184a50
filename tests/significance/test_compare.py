from __future__ import annotations

import math

import numpy as np
import pytest

from tests.significance.parts import alone, compared, documents, values
from uae_bench.errors import UnknownName
from uae_bench.records import Value
from uae_bench.significance import bootstrap_interval, compare_all, holm


def systems(count: int = 40, measure: str = "AP") -> dict[str, list[Value]]:
    rng = np.random.default_rng(6)
    base = rng.random(count)
    return {
        "bm25": values(base.tolist(), measure),
        "dense": values((base + rng.normal(0, 0.3, count)).tolist(), measure),
        "uae": values((base + rng.normal(0.3, 0.3, count)).tolist(), measure),
    }


def rng() -> np.random.Generator:
    return np.random.default_rng(9)


def test_against_a_baseline_each_other_system_is_compared_once() -> None:
    found = compare_all(systems(), alone(40), "bm25", rng())
    assert [(row.system, row.baseline) for row in found] == [("dense", "bm25"), ("uae", "bm25")]


def test_without_a_baseline_every_pair_is_compared_once() -> None:
    found = compare_all(systems(), alone(40), None, rng())
    assert [(row.system, row.baseline) for row in found] == [("bm25", "dense"), ("bm25", "uae"), ("dense", "uae")]


def test_a_row_holds_the_difference_its_test_and_its_interval() -> None:
    (_, row) = compare_all(systems(), alone(40), "bm25", rng())
    table = systems()
    means = {name: np.mean([value.value for value in table[name]]) for name in table}
    assert row.difference == pytest.approx(means["uae"] - means["bm25"])
    assert row.interval.low < row.difference < row.interval.high
    single = compared(table["uae"], table["bm25"], alone(40), rng())
    assert row.p == pytest.approx(single.p, abs=0.005)
    differences = [a.value - b.value for a, b in zip(table["uae"], table["bm25"], strict=True)]
    interval = bootstrap_interval(values(differences), alone(40), rng())
    assert [row.interval.low, row.interval.high] == pytest.approx([interval.low, interval.high], abs=0.01)
    assert (row.queries, row.documents, row.effective_documents, row.why) == (40, 40, 40.0, "")


def test_holm_runs_within_a_measure_and_not_across() -> None:
    both = {name: systems()[name] + systems(measure="RR")[name] for name in systems()}
    found = compare_all(both, alone(40), None, rng())
    for measure in ("AP", "RR"):
        rows = [row for row in found if row.measure == measure]
        assert [row.p_adjusted for row in rows] == holm([row.p for row in rows])


def test_a_measures_figures_do_not_move_when_another_is_added() -> None:
    both = {name: systems(measure="RR")[name] + systems()[name] for name in systems()}
    alone_found = compare_all(systems(), alone(40), "bm25", rng())
    assert [row for row in compare_all(both, alone(40), "bm25", rng()) if row.measure == "AP"] == alone_found


def test_max_t_is_no_less_than_the_raw_p() -> None:
    found = compare_all(systems(), alone(40), None, rng(), correction="max-t")
    assert all(row.p <= row.p_adjusted <= 1 for row in found)


def test_a_measure_is_compared_among_the_systems_that_have_it() -> None:
    table = systems()
    table["dense"] = table["dense"] + values([1.0] * 40, "RR")
    table["uae"] = table["uae"] + values([0.5] * 40, "RR")
    found = compare_all(table, alone(40), None, rng())
    assert [(row.system, row.baseline) for row in found if row.measure == "RR"] == [("dense", "uae")]
    assert all(row.measure == "AP" for row in compare_all(table, alone(40), "bm25", rng()))


def test_fewer_than_six_documents_are_not_tested() -> None:
    found = compare_all(systems(), documents("abcde" * 8), "bm25", rng())
    assert all(math.isnan(row.p) and math.isnan(row.p_adjusted) and "5 documents" in row.why for row in found)
    assert all(not math.isnan(row.difference) for row in found)


def test_fewer_than_twenty_effective_documents_are_tested_and_said_to_be_few() -> None:
    found = compare_all(systems(), documents("abcdefghij" * 4), "bm25", rng())
    assert all(not math.isnan(row.p) and "only 10.0 effective documents" in row.why for row in found)


def test_too_few_flips_for_the_number_of_tests_are_owned_up_to() -> None:
    # 3 tests with 19 flips: 3 × 1/20
    found = compare_all(systems(), alone(40), None, rng(), permutations=19)
    assert all("no adjusted p can fall below 0.15 over 3 tests" in row.why for row in found)


def test_an_unknown_baseline_is_answered_with_the_nearest() -> None:
    with pytest.raises(UnknownName, match="'bm52'") as error:
        compare_all(systems(), alone(40), "bm52", rng())
    assert "bm25" in error.value.hint


def test_the_same_seed_gives_the_same_rows() -> None:
    assert compare_all(systems(), alone(40), None, rng()) == compare_all(systems(), alone(40), None, rng())
