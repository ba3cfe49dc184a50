from __future__ import annotations

import math

import pytest

from tests.metrics.parts import annotated
from uae_bench.errors import BadInput
from uae_bench.metrics import answer_kinds, by_group, by_kind, summarise, values_of
from uae_bench.records import Value

VALUES = [
    Value("q1", "TokenF1", 1.0),
    Value("q2", "TokenF1", 0.0, "no generation: counts as 0 by the official rule"),
    Value("q3", "TokenF1", math.nan, "the query has no reference answer"),
    Value("q4", "TokenF1", 0.5),
    Value("q1", "AP", 0.25),
]


def test_a_mean_stands_beside_its_counts() -> None:
    f1, ap = summarise(VALUES)
    assert (f1.measure, f1.value, f1.n, f1.undefined, f1.missing) == ("TokenF1", 0.5, 3, 1, 1)
    assert (ap.measure, ap.value, ap.n, ap.undefined, ap.missing) == ("AP", 0.25, 1, 0, 0)


def test_a_measure_that_is_undefined_everywhere_has_no_mean() -> None:
    (mean,) = summarise([Value("q", "AP", math.nan, "no passage is judged relevant")])
    assert math.isnan(mean.value)
    assert (mean.n, mean.undefined) == (0, 1)


def test_the_mean_of_many_equal_values_is_that_value() -> None:
    (mean,) = summarise(Value(str(index), "AP", 0.1) for index in range(1000))
    assert mean.value == 0.1


def test_groups_break_a_mean_down_and_add_up_to_it() -> None:
    kinds = {"q1": "extractive", "q2": "yes-no", "q3": "yes-no", "q4": "extractive"}
    groups = by_group([value for value in VALUES if value.measure == "TokenF1"], kinds)
    assert [(group, means[0].value, means[0].n) for group, means in groups.items()] == [
        ("extractive", 0.75, 2),
        ("yes-no", 0.0, 1),
    ]


def test_a_query_without_a_group_is_an_error() -> None:
    with pytest.raises(BadInput, match="'q1' belongs to no group"):
        by_group(VALUES, {})


def test_a_query_is_of_the_kind_that_most_annotators_gave_and_of_the_first_where_they_are_as_many() -> None:
    free, yes = annotated("x", kind="free-form"), annotated("Yes", kind="yes-no")
    assert answer_kinds({"most": (free, yes, yes), "even": (free, yes), "none": ()}) == {
        "most": "yes-no",
        "even": "free-form",
    }


def test_values_of_one_measure_by_query() -> None:
    assert values_of(VALUES, "AP") == {"q1": 0.25}


def test_means_by_kind_tell_nothing_where_there_is_one_kind() -> None:
    # extractive: (0.25 + 0.75) / 2; yes-no: 1; q4 has no kind
    values = [Value(f"q{number}", "AP", value) for number, value in enumerate((0.25, 0.75, 1.0, 0.0), start=1)]
    kinds = {"q1": "extractive", "q2": "extractive", "q3": "yes-no"}
    assert by_kind(values, kinds) == {"AP": {"extractive": 0.5, "yes-no": 1.0}}
    assert by_kind(values, {"q1": "extractive", "q2": "extractive"}) == {}
