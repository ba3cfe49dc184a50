"""Many tests at once: adjusted p-values under which the chance of even one false finding stays below the level."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from uae_bench.significance.clusters import Array, ClusterSums
from uae_bench.significance.paired import as_p, differences, flipped_differences, tolerance


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down adjustment (1979): the i-th least of n times n − i + 1, made monotone, at most 1.

    A nan was not tested: it stays nan and is not counted.
    """
    p = np.asarray(p_values, dtype=np.float64)
    tested = np.flatnonzero(~np.isnan(p))
    order = tested[np.argsort(p[tested], kind="stable")]
    stepped = p[order] * np.arange(len(order), 0, -1)
    adjusted = np.full(len(p), np.nan)
    adjusted[order] = np.minimum(np.maximum.accumulate(stepped), 1.0)
    return [float(value) for value in adjusted]


def max_t(table: ClusterSums, pairs: Sequence[tuple[int, int]], rng: np.random.Generator, permutations: int) -> Array:
    """Westfall and Young's step-down max-T (1993, algorithm 4.1) over clustered sign flips; adjusted p per pair, (P,).

    It knows how the tests hang together, so it is at least as sharp as Holm for kin systems. Each difference is
    divided by √Σ_d D_d², which no flip changes, so that pairs of unlike spread count alike. Flips are the same for
    all pairs; systems that do not differ anywhere get 1.
    """
    spread = np.array([np.linalg.norm(table.sums[:, a] - table.sums[:, b]) for a, b in pairs])
    noise = tolerance(table, pairs)
    moved = spread > noise
    scale = np.where(moved, spread, np.inf)  # no spread: the statistic is 0
    observed = np.abs(differences(table.sums.sum(axis=0, keepdims=True), pairs))[0] / scale
    order = np.argsort(-observed, kind="stable")
    threshold = (observed - np.where(moved, noise / scale, 0.0))[order]
    extreme, total = np.zeros(len(pairs)), 0
    for flipped in flipped_differences(table, pairs, rng, permutations):
        statistic = (np.abs(flipped) / scale)[:, order]
        greatest = np.maximum.accumulate(statistic[:, ::-1], axis=1)[:, ::-1]  # over this pair and all less extreme
        extreme += (greatest >= threshold).sum(axis=0)
        total += len(flipped)
    adjusted = np.empty(len(pairs))
    adjusted[order] = np.maximum.accumulate(as_p(extreme, total, table))
    return adjusted
