"""Values and documents to build tests from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from uae_bench.records import Comparison, Value
from uae_bench.significance import compare_all
from uae_bench.significance.clusters import Array, ClusterSums
from uae_bench.significance.paired import PERMUTATIONS


def values(numbers: Sequence[float], measure: str = "AP") -> list[Value]:
    """One value per query q000, q001, …; nan is undefined because nothing is relevant."""
    return [
        Value(f"q{index:03}", measure, float(number), "nothing is relevant" if np.isnan(number) else "")
        for index, number in enumerate(numbers)
    ]


def documents(names: str | Sequence[str]) -> dict[str, str]:
    """The document of each of those queries."""
    return {f"q{index:03}": name for index, name in enumerate(names)}


def alone(count: int) -> dict[str, str]:
    """Every query in a document of its own."""
    return documents([f"d{index:03}" for index in range(count)])


def compared(
    a: Sequence[Value],
    b: Sequence[Value],
    clusters: Mapping[str, str],
    rng: np.random.Generator,
    permutations: int = PERMUTATIONS,
) -> Comparison:
    """Two systems: the first less the second."""
    (found,) = compare_all({"a": a, "b": b}, clusters, "b", rng, permutations=permutations, resamples=10)
    return found


def simulated(
    rng: np.random.Generator, experiments: int, sizes: Sequence[int], *, between: float, within: float, mean: float = 0
) -> tuple[Array, Array]:
    """Differences of `experiments` pairs of systems, (queries, experiments), and each query's document, (queries,).

    A document shifts all of its queries alike (standard deviation `between`), a query its own (`within`).
    """
    document = np.repeat(np.arange(len(sizes)), sizes)
    shifts = rng.normal(0, between, (len(sizes), experiments))[document]
    return mean + shifts + rng.normal(0, within, (len(document), experiments)), document.astype(np.float64)


def summed(differences: Array, document: Array) -> ClusterSums:
    """Each experiment as a system beside a last one that is 0 throughout, added up by document."""
    names, place = np.unique(document, return_inverse=True)
    sums = np.zeros((len(names), differences.shape[1] + 1))
    np.add.at(sums[:, :-1], place, differences)
    systems = tuple(f"s{index}" for index in range(sums.shape[1]))
    return ClusterSums(systems, sums, np.bincount(place).astype(np.float64))


def against_last(table: ClusterSums) -> list[tuple[int, int]]:
    last = len(table.systems) - 1
    return [(index, last) for index in range(last)]
