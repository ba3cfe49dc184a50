"""Measures: from a run, generations and utilities to one value per query, and from values to means."""

from uae_bench.metrics.efficiency import Latency, Usage, break_even, latency, latency_by_stage, throughput, usage
from uae_bench.metrics.evaluation import Mean, answer_kinds, by_group, by_kind, evaluate, summarise, values_of
from uae_bench.metrics.judged import Judged
from uae_bench.metrics.measure import MEASURES, Family, Measure

__all__ = [
    "MEASURES",
    "Family",
    "Judged",
    "Latency",
    "Mean",
    "Measure",
    "Usage",
    "answer_kinds",
    "break_even",
    "by_group",
    "by_kind",
    "evaluate",
    "latency",
    "latency_by_stage",
    "summarise",
    "throughput",
    "usage",
    "values_of",
]
