from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.significance.parts import alone, documents, values
from uae_bench.errors import BadInput
from uae_bench.records import Query, Value
from uae_bench.significance import clusters_of, effective_clusters
from uae_bench.significance.clusters import cluster_sums


def test_equal_documents_count_in_full() -> None:
    assert effective_clusters("aabbcc") == 3.0


def test_one_large_document_counts_for_little_more_than_one() -> None:
    # sizes 8, 1, 1: 10² / (64 + 1 + 1)
    assert effective_clusters("aaaaaaaabc") == pytest.approx(100 / 66)


def test_no_queries_are_no_documents() -> None:
    assert effective_clusters([]) == 0.0


@given(st.lists(st.sampled_from("abcdef"), min_size=1))
def test_effective_documents_lie_between_one_and_their_number(names: list[str]) -> None:
    assert 1 - 1e-12 <= effective_clusters(names) <= len(set(names)) + 1e-12


def test_a_query_without_a_document_stands_alone_even_where_a_document_has_its_name() -> None:
    queries = [Query("q1", "?", "d1"), Query("q2", "?", "d1"), Query("d1", "?", None)]
    found = clusters_of(queries)
    assert found["q1"] == found["q2"] != found["d1"]


def test_values_are_added_up_by_document() -> None:
    table = cluster_sums({"a": values([1, 2, 4]), "b": values([0, 0, 8])}, documents("xyx"))
    assert table.sums.tolist() == [[5, 8], [2, 0]]
    assert table.counts.tolist() == [2, 1]
    assert table.means == pytest.approx([7 / 3, 8 / 3])
    assert table.effective == pytest.approx(9 / 5)


def test_a_query_undefined_for_all_is_left_out_with_its_document() -> None:
    table = cluster_sums({"a": values([1, math.nan, 4]), "b": values([0, math.nan, 8])}, documents("xyx"))
    assert (table.documents, table.queries) == (1, 2)


def test_a_measure_undefined_everywhere_has_no_mean() -> None:
    table = cluster_sums({"a": values([math.nan])}, documents("x"))
    assert (table.documents, table.queries, table.effective) == (0, 0, 0.0)
    assert np.isnan(table.means).all()


def test_a_query_undefined_for_one_system_only_is_an_error() -> None:
    with pytest.raises(BadInput, match=r"'q001' is undefined \(nothing is relevant\) for a and 3 for b"):
        cluster_sums({"a": values([1, math.nan]), "b": values([1, 3])}, alone(2))


def test_a_query_undefined_for_different_reasons_is_an_error() -> None:
    other = [Value("q000", "AP", math.nan, "no reference answer")]
    with pytest.raises(BadInput, match="no reference answer"):
        cluster_sums({"a": values([math.nan]), "b": other}, alone(1))


def test_systems_with_different_queries_cannot_be_paired() -> None:
    with pytest.raises(BadInput, match="a has 2 queries and b 3") as error:
        cluster_sums({"a": values([1, 2]), "b": values([1, 2, 3])}, alone(3))
    assert "'q002'" in error.value.hint


def test_a_query_in_no_document_is_an_error() -> None:
    with pytest.raises(BadInput, match="'q001' belongs to no document"):
        cluster_sums({"a": values([1, 2])}, alone(1))


def test_two_measures_at_once_are_refused() -> None:
    with pytest.raises(BadInput, match="AP, RR"):
        cluster_sums({"a": values([1]) + values([1], "RR")}, alone(1))
