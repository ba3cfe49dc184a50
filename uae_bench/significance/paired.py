"""The paired randomisation test, clustered: under the null, a document's differences could as well have the other sign.

All queries of a document flip together (sign-flip test of cluster sums; Fisher 1935, for clusters Canay, Romano and
Shaikh 2017, doi:10.3982/ECTA13081). Exact where all flips can be listed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from uae_bench.significance.clusters import Array, ClusterSums

PERMUTATIONS = 20_000
"""Random flips drawn where they cannot all be listed: the least p is 1 / 20,001."""

EXACT_CLUSTERS = 14
"""Up to this many documents all 2^C ≤ 16,384 flips are listed."""

LEAST_CLUSTERS = 6
"""Below this many documents no p-value can fall under 0.05: of 2^5 flips, two are as extreme as any can be."""

_CHUNK = 4_000_000  # numbers held at once: 32 MB
_TIE = 1e-11  # relative to the sums: equal statistics differ by rounding, and must count as equal


def too_few(documents: int) -> str:
    """Why no test is possible with so few documents; empty where one is."""
    if documents >= LEAST_CLUSTERS:
        return ""
    return f"no test: with {documents} documents no p-value can fall below {min(1.0, 2 / 2**documents):g}"


def flip_p_values(
    table: ClusterSums, pairs: Sequence[tuple[int, int]], rng: np.random.Generator, permutations: int
) -> Array:
    """Two-sided p of each pair of systems (column indices); (P,). The same flips serve all pairs.

    p = (c + 1) / (m + 1) over m random flips, c of them as extreme as the data; c / 2^C where all are listed.
    """
    observed = np.abs(differences(table.sums.sum(axis=0, keepdims=True), pairs))[0]
    threshold = observed - tolerance(table, pairs)
    extreme = np.zeros(len(pairs))
    total = 0
    for flipped in flipped_differences(table, pairs, rng, permutations):
        extreme += (np.abs(flipped) >= threshold).sum(axis=0)
        total += len(flipped)
    return as_p(extreme, total, table)


def as_p(extreme: Array, total: int, table: ClusterSums) -> Array:
    """Counts of flips as extreme as the data as p-values: the listed flips hold the data itself, drawn ones do not."""
    return extreme / total if table.documents <= EXACT_CLUSTERS else (extreme + 1) / (total + 1)


def flipped_differences(
    table: ClusterSums, pairs: Sequence[tuple[int, int]], rng: np.random.Generator, permutations: int
) -> Iterator[Array]:
    """Σ_d s_d (a_d − b_d) for flips s and pairs (a, b), in chunks (flips, P) of bounded size."""
    rows = max(1, _CHUNK // max(len(pairs), table.documents, 1))
    for flips in _sign_flips(table.documents, rng, permutations, rows):
        yield differences(flips @ table.sums, pairs)  # (flips, C) @ (C, S)


def _sign_flips(clusters: int, rng: np.random.Generator, permutations: int, rows: int) -> Iterator[Array]:
    """Rows of +1 and −1, (at most `rows`, C): all 2^C where they are few, else `permutations` drawn ones."""
    exact = clusters <= EXACT_CLUSTERS
    total = 2**clusters if exact else permutations
    for start in range(0, total, rows):
        count = min(rows, total - start)
        if exact:
            bits = np.arange(start, start + count)[:, None] >> np.arange(clusters) & 1
        else:
            bits = rng.integers(0, 2, size=(count, clusters), dtype=np.int8)
        yield np.where(bits, -1.0, 1.0)


def differences(sums: Array, pairs: Sequence[tuple[int, int]]) -> Array:
    """Column differences of (…, S) for each pair: (…, P)."""
    left, right = np.array(pairs, dtype=np.intp).reshape(-1, 2).T
    return np.asarray(sums[..., left] - sums[..., right])


def tolerance(table: ClusterSums, pairs: Sequence[tuple[int, int]]) -> Array:
    """How far apart two statistics of a pair may be and still be equal; (P,)."""
    size = np.abs(table.sums).sum(axis=0)
    return np.array([_TIE * (size[a] + size[b]) for a, b in pairs])
