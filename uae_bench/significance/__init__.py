"""Paired tests, intervals, corrections, tie groups and power, all clustered by document."""

from uae_bench.records import LEAST_EFFECTIVE, clusters_of, effective_clusters
from uae_bench.significance.compare import Correction, compare_all
from uae_bench.significance.corrections import holm, max_t
from uae_bench.significance.intervals import bootstrap_interval, bootstrap_intervals
from uae_bench.significance.letters import Standing, standings, tie_groups
from uae_bench.significance.power import smallest_detectable_difference

__all__ = [
    "LEAST_EFFECTIVE",
    "Correction",
    "Standing",
    "bootstrap_interval",
    "bootstrap_intervals",
    "clusters_of",
    "compare_all",
    "effective_clusters",
    "holm",
    "max_t",
    "smallest_detectable_difference",
    "standings",
    "tie_groups",
]
