"""How small a difference this test could have seen: no significance is no news where the answer is "none"."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import combinations

import numpy as np

from uae_bench.records import Value
from uae_bench.significance.clusters import Array, ClusterSums, cluster_sums


def smallest_detectable_difference(
    values_by_system: Mapping[str, Sequence[Value]],
    clusters: Mapping[str, str],
    *,
    alpha: float = 0.05,
    power: float = 0.8,
) -> float:
    """The true mean difference that a two-sided clustered test at `alpha` finds with probability `power`.

    (t_{1−α/2} + t_{power}) · standard error, with C − 1 degrees of freedom; the median over all pairs of systems, in
    the measure's unit. For one test: a correction for many raises it (hand in alpha / tests for the worst case).
    nan where fewer than two systems or documents are defined.
    """
    from scipy.special import stdtrit

    table = cluster_sums(values_by_system, clusters)
    if table.documents < 2 or len(table.systems) < 2:
        return math.nan
    errors = [standard_error(table, a, b) for a, b in combinations(range(len(table.systems)), 2)]
    freedom = table.documents - 1
    return float((stdtrit(freedom, 1 - alpha / 2) + stdtrit(freedom, power)) * np.median(errors))


def standard_error(table: ClusterSums, a: int, b: int) -> float:
    """Clustered standard error of the mean difference between two columns: the ratio estimator's linearisation,
    √( C/(C−1) · Σ_d (D_d − n_d·mean)² ) / Σ_d n_d (Cochran 1977, eq. 6.13)."""
    sums: Array = table.sums[:, a] - table.sums[:, b]
    residuals = sums - table.counts * (sums.sum() / table.counts.sum())
    documents = table.documents
    return float(math.sqrt(documents / (documents - 1) * (residuals**2).sum()) / table.counts.sum())
