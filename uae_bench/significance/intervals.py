"""Cluster bootstrap intervals: documents are drawn with replacement, each with all of its queries.

Percentile intervals: they stay within a measure's bounds, follow its skew, and use the resamples that differences
between systems share. BCa would correct bias, of which a mean has next to none, by an acceleration that a few dozen
documents do not determine. With few documents a percentile interval is somewhat short; hence `LEAST_EFFECTIVE`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from uae_bench.progress import SILENT, Progress
from uae_bench.records import Interval, Value
from uae_bench.significance.clusters import Array, ClusterSums, by_measure, cluster_sums, stream

RESAMPLES = 10_000

_CHUNK = 4_000_000  # numbers held at once: 32 MB


def bootstrap_interval(
    values: Sequence[Value],
    clusters: Mapping[str, str],
    rng: np.random.Generator,
    *,
    level: float = 0.95,
    resamples: int = RESAMPLES,
) -> Interval:
    """Interval of one measure's mean over its defined queries; `clusters` maps each query to its document.

    nan at both ends where fewer than two documents are defined: one document says nothing of another.
    """
    means = resampled_means(cluster_sums({"system": values}, clusters), rng, resamples)
    return interval_of(means[:, 0], level)


def bootstrap_intervals(
    values: Iterable[Value],
    clusters: Mapping[str, str],
    rng: np.random.Generator,
    *,
    level: float = 0.95,
    resamples: int = RESAMPLES,
    progress: Progress = SILENT,
) -> dict[str, Interval]:
    """`bootstrap_interval` of every measure; a measure's interval does not depend on which others there are."""
    seed = int(rng.integers(2**63))
    groups = by_measure(values)
    return {
        measure: bootstrap_interval(group, clusters, stream(seed, measure), level=level, resamples=resamples)
        for measure, group in progress.track(groups.items(), total=len(groups), label="intervals by measure")
    }


def resampled_means(table: ClusterSums, rng: np.random.Generator, resamples: int) -> Array:
    """Mean over queries in each resample of C documents, for each system: (resamples, S). The same draws serve all.

    A resample's mean is its sum over its number of queries, which varies with the documents drawn. nan where fewer
    than two documents leave nothing to vary.
    """
    documents = table.documents
    if documents < 2:
        return np.full((resamples, len(table.systems)), np.nan)
    rows = max(1, _CHUNK // documents)
    chunks = []
    for start in range(0, resamples, rows):
        count = min(rows, resamples - start)
        drawn = rng.integers(documents, size=(count, documents)) + documents * np.arange(count)[:, None]
        weights = np.bincount(drawn.ravel(), minlength=count * documents).reshape(count, documents).astype(np.float64)
        chunks.append(weights @ table.sums / (weights @ table.counts)[:, None])
    return np.concatenate(chunks)


def interval_of(resampled: Array, level: float) -> Interval:
    """The percentile interval of resampled figures."""
    if np.isnan(resampled).any():
        return Interval(math.nan, math.nan, level)
    low, high = np.quantile(resampled, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(low), float(high), level)
