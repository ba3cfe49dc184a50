"""Every system against the baseline, or every pair: differences, intervals, tests, corrected within each measure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Literal

import numpy as np

from uae_bench.errors import UnknownName
from uae_bench.progress import SILENT, Progress
from uae_bench.records import LEAST_EFFECTIVE, Comparison, Value
from uae_bench.registry import nearest
from uae_bench.significance.clusters import Array, ClusterSums, by_measure, cluster_sums, stream
from uae_bench.significance.corrections import holm, max_t
from uae_bench.significance.intervals import RESAMPLES, interval_of, resampled_means
from uae_bench.significance.paired import EXACT_CLUSTERS, PERMUTATIONS, flip_p_values, too_few

Correction = Literal["holm", "max-t"]


def compare_all(
    values_by_system: Mapping[str, Sequence[Value]],
    clusters: Mapping[str, str],
    baseline: str | None,
    rng: np.random.Generator,
    *,
    correction: Correction = "holm",
    permutations: int = PERMUTATIONS,
    resamples: int = RESAMPLES,
    alpha: float = 0.05,
    progress: Progress = SILENT,
) -> list[Comparison]:
    """Each system minus the baseline, or, with baseline None, each pair in the order given; measure by measure.

    `values_by_system` holds all measures of a system together; a measure is compared among the systems that have it.
    `clusters` maps each query to its document. The correction runs over the comparisons of one measure; intervals are
    at 1 − alpha each. A measure's figures do not depend on which other measures there are.

    Raises:
        UnknownName: no system is called `baseline`.
        BadInput: the systems cannot be paired (see `cluster_sums`).
    """
    if baseline is not None and baseline not in values_by_system:
        raise UnknownName(f"no system is called {baseline!r}", hint=nearest(baseline, values_by_system))
    seed = int(rng.integers(2**63))
    apart = {system: by_measure(values) for system, values in values_by_system.items()}
    found: list[Comparison] = []
    measures = list(dict.fromkeys(measure for groups in apart.values() for measure in groups))
    for measure in progress.track(measures, total=len(measures), label="tests by measure"):
        table = cluster_sums(
            {system: groups[measure] for system, groups in apart.items() if measure in groups}, clusters
        )
        pairs = _pairs(table.systems, baseline)
        if not pairs:
            continue
        own = stream(seed, measure)
        p, adjusted, why = _tested(table, pairs, own, correction, permutations, alpha)
        means = resampled_means(table, own, resamples)
        for (a, b), p_raw, p_adjusted in zip(pairs, p, adjusted, strict=True):
            found.append(
                Comparison(
                    system=table.systems[a],
                    baseline=table.systems[b],
                    measure=measure,
                    difference=float(table.means[a] - table.means[b]),
                    interval=interval_of(means[:, a] - means[:, b], 1 - alpha),
                    p=float(p_raw),
                    p_adjusted=float(p_adjusted),
                    queries=table.queries,
                    documents=table.documents,
                    effective_documents=table.effective,
                    why=why,
                )
            )
    return found


def _pairs(systems: Sequence[str], baseline: str | None) -> list[tuple[int, int]]:
    if baseline is None:
        return list(combinations(range(len(systems)), 2))
    return [
        (index, systems.index(baseline))
        for index, system in enumerate(systems)
        if system != baseline and baseline in systems
    ]


def _tested(
    table: ClusterSums,
    pairs: Sequence[tuple[int, int]],
    rng: np.random.Generator,
    correction: Correction,
    permutations: int,
    alpha: float,
) -> tuple[Array, Array, str]:
    """p and adjusted p per pair, and what has to be said about them."""
    why = too_few(table.documents)
    if why:
        untested = np.full(len(pairs), math.nan)
        return untested, untested, why
    p = flip_p_values(table, pairs, rng, permutations)
    if correction == "holm":
        return p, np.array(holm(list(p))), _caution(table, len(pairs), permutations, alpha)
    return p, np.maximum(p, max_t(table, pairs, rng, permutations)), _caution(table, 1, permutations, alpha)


def _caution(table: ClusterSums, tests: int, permutations: int, alpha: float) -> str:
    """What a reader has to know before trusting these p-values; empty if nothing."""
    least = 2 / 2**table.documents if table.documents <= EXACT_CLUSTERS else 1 / (permutations + 1)
    cautions = []
    if table.effective < LEAST_EFFECTIVE:
        cautions.append(few_effective(table.effective))
    if least * tests > alpha:
        cautions.append(f"no adjusted p can fall below {min(1.0, least * tests):.2g} over {tests} tests")
    return "; ".join(cautions)


def few_effective(effective: float) -> str:
    """Why systems are not told apart."""
    return f"only {effective:.1f} effective documents, fewer than {LEAST_EFFECTIVE:g}"
